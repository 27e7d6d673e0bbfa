//! splinter-bus: values of keys by the store, messages that must all arrive by the typed bus.

use std::time::Duration;

use anyhow::{Result, ensure};
use splinter_bus::store::{Slot, Store, StoreOptions, Lookup};
use splinter_bus::{Bus, Publisher, SubscribeOptions, Subscriber};

use crate::peer::{self, Channel, Job, Kind, Peer};

/// Two senders write under one key, or each under a key of its own.
pub(crate) struct SplinterBus<const KEY_EACH: bool>;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// The keys of a job, in one direction.
fn slots(session: &str, channel: Channel, job: Job) -> Result<Vec<Slot>> {
    let store = Store::open(session)?;
    Ok((0..job.keys).map(|key| store.slot(&format!("{} {key}", channel.name()))).collect::<Result<_, _>>()?)
}

impl<const KEY_EACH: bool> Peer for SplinterBus<KEY_EACH> {
    type Host = Host;
    type Sender = Sender;
    type Receiver = Receiver;

    fn receiver_first(kind: Kind) -> bool {
        kind == Kind::All
    }

    fn host(session: &str, job: Job) -> Result<Host> {
        let options = StoreOptions::new().slots(2 * job.keys as u32).max_value_size(job.size as u64);
        let options = match job.kind {
            // Older values are not wanted.
            Kind::Newest => options.history(1).spare(3),
            Kind::Spinning | Kind::Asleep => options,
            // Room for the envelope, and for messages that wait to be received.
            Kind::All => options.max_value_size(job.size as u64 + 256).history(64),
        };
        Ok(Host(options.create(session)?))
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Sender> {
        if job.kind == Kind::All {
            let bus = Bus::<Vec<u8>>::open(session)?;
            let key = if KEY_EACH { channel } else { Channel::There }.name();
            return Ok(Sender::Bus(Box::new(bus.publisher(key)?), Vec::new()));
        }
        Ok(Sender::Store(slots(session, channel, job)?))
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Receiver> {
        match job.kind {
            Kind::Newest => Ok(Receiver::Newest(slots(session, channel, job)?)),
            Kind::Spinning | Kind::Asleep => {
                let slot = slots(session, channel, job)?.swap_remove(0);
                Ok(Receiver::Next(Box::new(slot), 0))
            }
            Kind::All => {
                let bus = Bus::<Vec<u8>>::open(session)?;
                let keys = if KEY_EACH { &[Channel::There, Channel::Back][..] } else { &[Channel::There] };
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
                publisher.publish_timeout(buffer, PATIENCE)?;
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
        let Self::Next(slot, seen) = self else { unreachable!("only those who want the next message wait for it") };
        let _ = slot.poll_after(*seen, None)?;
        ensure!(slot.get_version_into(*seen + 1, into)? == Lookup::Found(()), "the next message is gone");
        *seen += 1;
        Ok(())
    }
}
