//! splinter-bus: slots of the store, and the typed bus with lossless subscribers.

use std::time::Duration;

use anyhow::{Result, ensure};
use splinter_bus::store::{KeyOptions, Lookup, Slot, Store, StoreOptions};
use splinter_bus::{Bus, Publisher, SubscribeOptions, Subscriber};

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer};

/// With `KEY_EACH`, two senders publish under two keys, else under the same key.
pub(crate) struct SplinterBus<const KEY_EACH: bool>;

/// How long a sender waits for a slow receiver.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Host(Store);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Store::remove(self.0.location());
    }
}

pub(crate) enum Sender {
    Store(Vec<Slot>),
    Bus(Box<Publisher<Vec<u8>>>, Vec<u8>),
}

pub(crate) enum Receiver {
    Newest(Vec<Slot>),
    Next(Box<Slot>, u64),
    All { subscribers: Vec<Subscriber<Vec<u8>>>, turn: usize },
}

/// Whoever uses a key first creates it, so all processes have the same options.
fn options(spec: ChannelSpec) -> StoreOptions {
    let keys = match spec.pattern {
        Pattern::Newest => KeyOptions::new().history(1).spare(3),
        Pattern::Spinning | Pattern::Sleeping => KeyOptions::new(),
        // The history is the buffer of the receiver.
        Pattern::Lossless => KeyOptions::new().history(64),
    };
    StoreOptions::new().slots(2 * spec.keys as u32).key_options(keys)
}

/// Opens the slots of a channel.
fn slots(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Vec<Slot>> {
    let store = options(spec).open(session)?;
    Ok((0..spec.keys).map(|key| store.slot(&format!("{} {key}", channel.name()))).collect::<Result<_, _>>()?)
}

impl<const KEY_EACH: bool> Peer for SplinterBus<KEY_EACH> {
    type Host = Host;
    type Sender = Sender;
    type Receiver = Receiver;

    fn receiver_first(pattern: Pattern) -> bool {
        pattern == Pattern::Lossless
    }

    fn host(session: &str, spec: ChannelSpec) -> Result<Host> {
        Ok(Host(options(spec).create(session)?))
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Sender> {
        if spec.pattern == Pattern::Lossless {
            let bus = Bus::<Vec<u8>>::on(options(spec).open(session)?);
            let key = if KEY_EACH { channel } else { Channel::Forward }.name();
            return Ok(Sender::Bus(Box::new(bus.publisher(key)?), Vec::new()));
        }
        Ok(Sender::Store(slots(session, channel, spec)?))
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Receiver> {
        match spec.pattern {
            Pattern::Newest => Ok(Receiver::Newest(slots(session, channel, spec)?)),
            Pattern::Spinning | Pattern::Sleeping => {
                let slot = slots(session, channel, spec)?.swap_remove(0);
                Ok(Receiver::Next(Box::new(slot), 0))
            }
            Pattern::Lossless => {
                let bus = Bus::<Vec<u8>>::on(options(spec).open(session)?);
                let keys = if KEY_EACH { &[Channel::Forward, Channel::Backward][..] } else { &[Channel::Forward] };
                let options = SubscribeOptions::new().lossless();
                let subscribers = keys.iter().map(|key| bus.subscribe_with(key.name(), &options));
                Ok(Receiver::All { subscribers: subscribers.collect::<Result<_, _>>()?, turn: 0 })
            }
        }
    }
}

impl peer::Sender for Sender {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        match self {
            Self::Store(slots) => _ = slots[key].set(message)?,
            Self::Bus(publisher, buffer) => {
                buffer.clear();
                buffer.extend_from_slice(message);
                publisher.publish_timeout(buffer, TIMEOUT)?;
            }
        }
        Ok(())
    }
}

impl peer::Receiver for Receiver {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Newest(slots) => Ok(slots[key].get_into(into)?.is_some()),
            Self::Next(slot, seen) => {
                let next = slot.get_version_into(*seen + 1, into)? == Lookup::Found(());
                *seen += u64::from(next);
                Ok(next)
            }
            Self::All { subscribers, turn } => {
                *turn += 1;
                let count = subscribers.len();
                let Some(received) = subscribers[*turn % count].try_recv()? else { return Ok(false) };
                peer::copy(&received, into);
                Ok(true)
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let Self::Next(slot, seen) = self else { unreachable!("only a receiver of the next message sleeps") };
        let _ = slot.poll_after(*seen, None)?;
        ensure!(slot.get_version_into(*seen + 1, into)? == Lookup::Found(()), "the next message was overwritten");
        *seen += 1;
        Ok(())
    }
}
