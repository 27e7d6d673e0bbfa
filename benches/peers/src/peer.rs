//! What a system must do to be measured: one implementation a system, in `peers`.

use std::fmt;

use anyhow::Result;

/// What the messages of one measurement are, and what for: a system is set up for it as its own documents advise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    /// Of each message, in bytes.
    pub(crate) size: usize,
    pub(crate) keys: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The newest value of a key is wanted, and older ones are not.
    Newest,
    /// Each message is waited for by a receiver that spins.
    Spinning,
    /// Each message is waited for by a receiver that sleeps.
    Asleep,
    /// Two senders, and a receiver that must see all.
    All,
}

/// Two directions between the process that measures and its partner, or one for each of two senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    There,
    Back,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Back => "back",
        }
    }
}

/// A system that is measured.
pub(crate) trait Peer: Sized {
    type Host;
    type Sender: Sender;
    type Receiver: Receiver;

    /// Whether the receiver must be there before the sender, or messages are lost, or nowhere to be sent.
    fn receiver_first(kind: Kind) -> bool {
        let _ = kind;
        false
    }

    /// What there must be before anybody sends or receives, in the process that measures. Dropped last, and takes all that is left with it.
    fn host(session: &str, job: Job) -> Result<Self::Host>;

    /// The sending end; if the system has it so, it makes the channel.
    fn sender(session: &str, channel: Channel, job: Job) -> Result<Self::Sender>;

    /// The receiving end of a channel whose sender is there.
    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Self::Receiver>;
}

pub(crate) trait Sender {
    /// Sends, or sets the value of a key.
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()>;
}

pub(crate) trait Receiver {
    /// Replaces `into` by a message: with [`Kind::Newest`] the newest value of the key, otherwise the next message that
    /// was not received yet. `false` when there is none, or it could not be had just now.
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool>;

    /// As `receive` of key 0, and sleeps until there is one.
    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let _ = into;
        Err(Blank("has no way to sleep until there is a message").into())
    }
}

/// Replaces `into` by what was received in place.
#[inline]
pub(crate) fn copy(message: &[u8], into: &mut Vec<u8>) {
    if into.len() != message.len() {
        into.resize(message.len(), 0);
    }
    into.copy_from_slice(message);
}

/// Why a system has no figure: it cannot do this.
#[derive(Debug)]
pub(crate) struct Blank(pub(crate) &'static str);

impl Blank {
    /// How a partner says it, in the line in which it would say that it is ready.
    pub(crate) const LINE: &'static str = "blank: ";
}

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Blank {}
