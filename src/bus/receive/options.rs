//! How a subscriber is to receive.

use std::time::{Duration, SystemTime};

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// At the next message that is published.
    #[default]
    Next,
    /// At the newest message, if there is one; else at the next.
    Newest,
    /// At the oldest message since which all are still kept; else at the next.
    Oldest,
    /// At this version; at the first if it is 0. If it is not kept any more, the first thing received is how many were missed.
    Version(u64),
    /// At the first message, of those that are still kept, that was sent at this time or later by its sender's clock; else at the next.
    Time(SystemTime),
}

/// How a subscriber is to receive: from the next message on, losing what it is too slow for, unless told otherwise.
///
/// # Examples
///
/// ```
/// use splinter_bus::bus::{Start, SubscribeOptions};
/// use splinter_bus::Bus;
///
/// # let name = format!("splinter-doc-subscribe-options-{}", std::process::id());
/// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
/// bus.publish("log", &b"before".to_vec())?;
/// let options = SubscribeOptions::new().start(Start::Oldest).lossless();
/// let mut log = bus.subscribe_with("log", &options)?;
/// assert_eq!(*log.recv()?, b"before");
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    pub(super) start: Start,
    pub(super) lossless: bool,
    pub(super) part_timeout: Duration,
}

impl SubscribeOptions {
    /// From the next message on, not lossless, five seconds for each part of a large message.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Start::Next, lossless: false, part_timeout: Duration::from_secs(5) }
    }

    /// Where to begin.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// To lose nothing: from its position on, no message is overwritten. Publishers that find no room then are refused, or wait for it.
    ///
    /// A subscriber whose process dies counts no longer. One that is stopped, or never receives, holds up publishers of the key: those
    /// who wait, as long as they wait. [`Store::evict`](crate::Store::evict) removes it from another process; its next receive
    /// then returns [`RecvError::Evicted`](crate::RecvError::Evicted), and it goes on without being lossless.
    #[must_use]
    pub fn lossless(mut self) -> Self {
        self.lossless = true;
        self
    }

    /// How long to wait for each part of a message that is larger than a cell, before it is given up; no longer than its ttl,
    /// nor than 2^32 seconds.
    #[must_use]
    pub fn part_timeout(mut self, timeout: Duration) -> Self {
        // The clock ends somewhere.
        self.part_timeout = timeout.min(Duration::from_secs(u32::MAX.into()));
        self
    }
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self::new()
    }
}
