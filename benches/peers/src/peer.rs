//! The interface that each measured system implements, in `peers`.

use std::fmt;

use anyhow::Result;

/// What the channels of a measurement have to provide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelSpec {
    pub(crate) pattern: Pattern,
    /// Bytes of each message.
    pub(crate) size: usize,
    pub(crate) keys: usize,
}

/// How messages are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The receiver reads the newest value of a key; older values are not needed.
    Newest,
    /// The receiver spins until the next message.
    Spinning,
    /// The receiver sleeps until the next message.
    Sleeping,
    /// Two senders; the receiver must see every message.
    Lossless,
}

/// One of the two channels of a measurement.
///
/// They connect the worker and its partner in both directions. With [`Pattern::Lossless`], both
/// lead to the worker, and each partner sends on one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Forward,
    Backward,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }
}

/// A system that is measured.
pub(crate) trait Peer: Sized {
    /// What must exist before senders and receivers: a store, a directory, a server.
    type Host;
    type Sender: Sender;
    type Receiver: Receiver;

    /// Whether the receiver must be created before the sender.
    fn receiver_first(pattern: Pattern) -> bool {
        let _ = pattern;
        false
    }

    /// Creates the host, in the worker. It is dropped last, and removes everything on drop.
    fn host(session: &str, spec: ChannelSpec) -> Result<Self::Host>;

    /// Creates the sending end. In some systems this creates the channel.
    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Self::Sender>;

    /// Creates the receiving end.
    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Self::Receiver>;
}

pub(crate) trait Sender {
    /// Sends a message, or sets the value of a key.
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()>;
}

pub(crate) trait Receiver {
    /// Replaces the contents of `into` by a message, and returns whether there was one.
    ///
    /// With [`Pattern::Newest`] that is the newest value of the key, else the next message. It may
    /// also return `false` if the message cannot be read at this moment.
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool>;

    /// Like `receive` of key 0, but sleeps until there is a message.
    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let _ = into;
        Err(Unsupported("has no blocking receive").into())
    }
}

/// Replaces the contents of `into` by a message that is borrowed from the system.
#[inline]
pub(crate) fn copy(message: &[u8], into: &mut Vec<u8>) {
    if into.len() != message.len() {
        into.resize(message.len(), 0);
    }
    into.copy_from_slice(message);
}

/// Why a system has no figure for a workload. The text continues a sentence with its name.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) &'static str);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unsupported {}
