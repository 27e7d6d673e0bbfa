//! Creating subscribers.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::options::{Start, SubscribeOptions};
use super::sender_types::check_newest;
use super::subscriber::Subscriber;
use crate::bus::error::SubscribeError;
use crate::bus::handle::Bus;
use crate::bus::shared::Shared;
use crate::frame::{Frame, HEADER_LEN};
use crate::store::directory::WaitLimit;
use crate::store::slot::lossless::{Begin, Lossless};
use crate::store::wait::Spin;
use crate::store::{GetError, Store};

impl<T> Bus<T> {
    /// Subscribes to a key, beginning at the next message. Creates the key if it does not exist, so
    /// a subscriber can come before the publisher. That waits for other processes that create or
    /// remove keys, at most ten seconds.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the key is not valid or cannot be created.
    pub fn subscribe(&self, key: &str) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new())
    }

    /// Subscribes to a key, beginning at a given message. Waits like
    /// [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the key is not valid or cannot be created.
    pub fn subscribe_from(&self, key: &str, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new().start(start))
    }

    /// Subscribes to a key with options. Waits like [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the key is not valid or cannot be created, it has the largest number of
    /// lossless subscribers, it exists with less than the options ask for, or its newest message has a
    /// type that cannot be read as `T`.
    pub fn subscribe_with(&self, key: &str, options: &SubscribeOptions) -> Result<Subscriber<T>, SubscribeError> {
        Subscriber::new(&self.store, &self.shared, key, options)
    }
}

impl<T> Subscriber<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str, options: &SubscribeOptions) -> Result<Self, SubscribeError> {
        let begin = match options.start {
            Start::Next => Begin::Next,
            Start::Newest => Begin::Newest,
            Start::Oldest | Start::Time(_) => Begin::Oldest,
            Start::Version(version) => Begin::At(version),
        };
        store.with_slot_of(key, &options.key_options, &mut WaitLimit::longest(), |slot| {
            // Messages for others may be of any type.
            if options.addressed_to.is_none() {
                check_newest(store, shared, key, slot.start_of_newest(HEADER_LEN), options.reads)?;
            }
            let lossless = options.lossless.then(|| Lossless::new(&slot, begin)).transpose()?;
            let next = match &lossless {
                Some(lossless) => lossless.version(),
                None => slot.begin(begin).map_err(SubscribeError::of)?,
            };
            let mut subscriber = Self {
                slot,
                next,
                lossless,
                addressed_to: options.addressed_to.clone(),
                store: store.creating_keys_with(options.key_options),
                shared: Arc::clone(shared),
                key: key.to_owned(),
                reads: options.reads,
                frame: Vec::new(),
                spin: Spin::default(),
                removed: false,
                retry_at: None,
                evicted: false,
                message: PhantomData,
            };
            if let Start::Time(time) = options.start {
                let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
                subscriber.skip_to_time(u64::try_from(nanos).unwrap_or(u64::MAX)).map_err(SubscribeError::of)?;
            }
            Ok(subscriber)
        })
    }

    /// Skips messages that were sent before `nanos`. Checks each cell once, and copies each version
    /// at most once.
    fn skip_to_time(&mut self, nanos: u64) -> Result<(), GetError> {
        let newest = self.slot.version();
        for kept in self.slot.stored_from(self.next)? {
            // A value that is not a frame has no time. It is not skipped: the next receive reports
            // it.
            if kept.version <= newest
                && self.slot.copy_stored(kept, &mut self.frame)?
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
    use crate::core::ring::cell_checks;
    use crate::store::{KeyOptions, StoreOptions};

    /// Enough for a few passes over the cells, but not for one pass per version.
    const MAX_CHECKS_PER_CELL: u64 = 4;

    #[test]
    fn starting_at_a_time_checks_each_cell_a_few_times() {
        let name = format!("splinter-test-history-{}", std::process::id());
        let store = StoreOptions::new()
            .slots(2)
            .key_options(KeyOptions::new().history(1024).spare(1024))
            .create(&name)
            .unwrap();
        Store::remove(&name).unwrap();
        let bus: Bus<Vec<u8>> = Bus::on(store);
        let mut publisher = bus.publisher("k").unwrap();
        for number in 0..5000u32 {
            publisher.publish(&number.to_le_bytes().to_vec()).unwrap();
        }
        let cells = bus.store().slot("k").unwrap().cells().total();
        cell_checks::take();
        let from_now = bus.subscribe_from("k", Start::Time(SystemTime::now())).unwrap();
        let checks = cell_checks::take();
        assert!(checks <= MAX_CHECKS_PER_CELL * cells, "{checks} checks of {cells} cells");
        assert_eq!(from_now.next_version(), 5001);
    }
}
