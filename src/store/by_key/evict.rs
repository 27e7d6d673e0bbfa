//! Removing lossless subscribers that block publishers.

use crate::store::error::EvictError;
use crate::store::participant::{self, Participant};
use crate::store::store::Store;

/// What was retained for a participant that was evicted from a key.
///
/// # Examples
///
/// See [`Store::evict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evicted {
    /// How many lossless subscribers of the key the participant had: at least 1.
    pub subscribers: u32,
    /// The oldest version that one of them had not received.
    pub next: u64,
    /// How many versions were published from that one on.
    pub behind: u64,
}

impl Store {
    /// Removes all lossless subscribers that a participant has of one key, so that publishers can
    /// continue: for a process that is stopped, or that does not receive. Never blocks.
    ///
    /// A process is one participant. So this evicts all its subscribers of the key, through
    /// whichever of its handles they subscribed, the quick ones with the slow one.
    ///
    /// Publishers that wait for free space are woken. The next receive of each evicted subscriber
    /// reports it ([`RecvError::Evicted`](crate::RecvError::Evicted)), and the subscriber continues
    /// as one that is not lossless. A blocked receive reports it when the next message comes.
    ///
    /// Its cursors are counted among the [`lossless`](crate::store::KeyOptions::lossless) ones of the
    /// key until that is reported, or its process has ended. A crashed participant needs no
    /// eviction. Jobs of a work queue are not affected.
    ///
    /// # Errors
    ///
    /// [`EvictError`]: there is no such key, or the participant has no lossless subscriber of it;
    /// or this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{KeyOptions, StoreOptions};
    /// use splinter_bus::{Bus, RecvError, SubscribeOptions};
    ///
    /// # let name = format!("splinter-doc-evict-{}", std::process::id());
    /// let store = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(1).spare(1)).create(&name)?;
    /// let bus: Bus<Vec<u8>> = Bus::on(store.clone());
    /// let mut idle = bus.subscribe_with("k", &SubscribeOptions::new().lossless())?;
    /// while bus.publish("k", &vec![0]).is_ok() {}
    /// // Who is most behind?
    /// let slowest = store.slot_snapshot("k")?.unwrap().lossless[0];
    /// let participant = store.participants()?.into_iter().find(|one| one.id == slowest.participant).unwrap();
    /// let evicted = store.evict("k", participant)?;
    /// assert_eq!((evicted.subscribers, evicted.next, evicted.behind), (1, 1, 2));
    /// bus.publish("k", &vec![1])?;
    /// assert!(matches!(idle.recv(), Err(RecvError::Evicted { .. })));
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict(&self, key: &str, participant: Participant) -> Result<Evicted, EvictError> {
        self.session.check_fork()?;
        let Some(slot) = self.existing_slot(key)? else {
            return Err(EvictError::NoSuchKey { key: key.to_owned() });
        };
        let is_there = || participant::is_current(self.mapped(), participant);
        match slot.ring().evict(participant.id, is_there) {
            Some(evicted) => Ok(Evicted {
                subscribers: evicted.count,
                next: evicted.oldest,
                behind: slot.published_between(evicted.oldest, slot.version() + 1),
            }),
            None => Err(EvictError::NotSubscribed {
                key: key.to_owned(),
                participant: participant.id,
                pid: participant.pid,
            }),
        }
    }
}
