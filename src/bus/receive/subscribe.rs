//! Creating subscribers.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::options::{Start, SubscribeOptions};
use super::subscriber::Subscriber;
use crate::bus::error::SubscribeError;
use crate::bus::handle::Bus;
use crate::bus::parts::Assembler;
use crate::bus::shared::Shared;
use crate::frame::Frame;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::lossless::{Begin, Lossless, LosslessError};
use crate::store::wait::Spin;
use crate::store::{GetError, KeyError, Store};

impl<T> Bus<T> {
    /// Subscribes to a key, from the next message on. The key is created if there is none: a subscriber may come first. That waits for others
    /// that create or remove keys, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe(&self, key: &str) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new())
    }

    /// Subscribes to a key from a message of the caller's choice on. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe_from(&self, key: &str, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new().start(start))
    }

    /// Subscribes to a key, on these terms. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, no room for it, or no room for one more lossless subscriber of it.
    pub fn subscribe_with(&self, key: &str, options: &SubscribeOptions) -> Result<Subscriber<T>, SubscribeError> {
        Subscriber::new(&self.store, &self.shared, key, options)
    }
}

impl<T> Subscriber<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str, options: &SubscribeOptions) -> Result<Self, SubscribeError> {
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            let slot = store.slot_within(key, &mut limit)?;
            let begin = match options.start {
                Start::Next => Begin::Next,
                Start::Newest => Begin::Newest,
                Start::Oldest | Start::Time(_) => Begin::Oldest,
                Start::Version(version) => Begin::At(version),
            };
            let lossless = match options.lossless.then(|| Lossless::new(&slot, begin)).transpose() {
                Ok(lossless) => lossless,
                // Removed in between: as if it had been before.
                Err(LosslessError::Key(KeyError::Removed)) => continue,
                Err(LosslessError::TooMany { max }) => return Err(SubscribeError::TooManyLossless { max }),
                Err(LosslessError::Key(error)) => return Err(error.into()),
            };
            let next = match &lossless {
                Some(lossless) => Ok(lossless.version()),
                None => slot.begin(begin),
            };
            let mut subscriber = Self {
                slot,
                next: match next {
                    Ok(next) => next,
                    Err(GetError::Key(KeyError::Removed)) => continue,
                    Err(error) => return Err(SubscribeError::of(error)),
                },
                lossless,
                store: store.clone(),
                shared: Arc::clone(shared),
                key: key.to_owned(),
                parts: Assembler::new(options.part_timeout),
                frame: Vec::new(),
                spin: Spin::default(),
                removed: false,
                retry_at: None,
                evicted: false,
                message: PhantomData,
            };
            if let Start::Time(time) = options.start {
                let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
                match subscriber.skip_to_time(u64::try_from(nanos).unwrap_or(u64::MAX)) {
                    Ok(()) => {}
                    Err(GetError::Key(KeyError::Removed)) => continue,
                    Err(error) => return Err(SubscribeError::of(error)),
                }
            }
            return Ok(subscriber);
        }
        Err(KeyError::Removed.into())
    }

    /// Passes what was sent earlier. Looks once at each cell, and copies each version at most once.
    fn skip_to_time(&mut self, nanos: u64) -> Result<(), GetError> {
        let newest = self.slot.version();
        for kept in self.slot.kept_from(self.next)? {
            // What is no frame has no time: it is received, and reported.
            if kept.version <= newest
                && self.slot.copy_kept(kept, &mut self.frame)?
                && Frame::parse(&self.frame).map_or(true, |frame| frame.ts() >= nanos)
            {
                self.skip_to(kept.version);
                return Ok(());
            }
        }
        self.skip_to(self.next.max(newest + 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::core::ring::looks as ring_looks;
    use crate::store::StoreOptions;

    /// More would be more than a few looks at each cell.
    const LOOKS_AT_A_CELL: u64 = 4;

    #[test]
    fn starting_at_a_time_and_getting_a_message_in_parts_look_a_few_times_at_each_cell() {
        let name = format!("splinter-test-history-{}", std::process::id());
        let store = StoreOptions::new().slots(2).max_value_size(256).history(1024).spare(1024).create(&name).unwrap();
        Store::remove(&name).unwrap();
        let bus: Bus<Vec<u8>> = Bus::on(store);
        let mut publisher = bus.publisher("k").unwrap();
        for number in 0..5000u32 {
            publisher.publish(&number.to_le_bytes().to_vec()).unwrap();
        }
        let cells = bus.store().slot("k").unwrap().cells().total();
        ring_looks::take();
        let mut from_now = bus.subscribe_from("k", Start::Time(SystemTime::now())).unwrap();
        let looks = ring_looks::take();
        assert!(looks <= LOOKS_AT_A_CELL * cells, "{looks} looks at {cells} cells");
        assert_eq!(from_now.next_version(), 5001);
        // It is larger than a cell, and nothing is received of it, so `get` looks for its beginning.
        publisher.publish(&vec![7; 400]).unwrap();
        ring_looks::take();
        assert_eq!(bus.get("k").unwrap().unwrap().len(), 400);
        let looks = ring_looks::take();
        assert!(looks <= LOOKS_AT_A_CELL * cells, "{looks} looks at {cells} cells");
        assert_eq!(from_now.recv().unwrap().len(), 400);
    }
}
