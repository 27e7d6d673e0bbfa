//! Options of a subscriber.

use std::time::SystemTime;

use super::sender_types::Reads;
use crate::store::KeyOptions;

/// The message at which a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// The next message that is published.
    #[default]
    Next,
    /// The newest message, if there is one; otherwise the next one.
    Newest,
    /// The oldest message from which on all messages are kept; otherwise the next one.
    Oldest,
    /// This version; 0 means the first one. If it is not kept any more, the first receive reports
    /// how many messages were missed.
    Version(u64),
    /// The first kept message that was sent at this time or later, by its sender's clock; otherwise
    /// the next one.
    Time(SystemTime),
}

/// Options of a subscriber. By default, it begins at the next message and misses messages if it is
/// too slow.
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
    pub(super) reads: Reads,
    pub(super) addressed_to: Option<Box<str>>,
    pub(super) key_options: KeyOptions,
}

impl SubscribeOptions {
    /// The default options: begin at the next message, not lossless, receive all messages.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Start::Next,
            lossless: false,
            reads: Reads::Compatible,
            addressed_to: None,
            key_options: KeyOptions::new(),
        }
    }

    /// Sets the message at which the subscriber begins.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Makes the subscriber lossless: messages that it has not received are not overwritten.
    /// Publishers that find no free cell get an error, or wait.
    ///
    /// If the process of the subscriber dies, its messages are released. If the process is stopped,
    /// or does not receive, it holds up the publishers of the key. Another process can evict it
    /// ([`Store::evict`](crate::Store::evict)). Its next receive then returns
    /// [`RecvError::Evicted`](crate::RecvError::Evicted), and it continues without being lossless.
    #[must_use]
    pub fn lossless(mut self) -> Self {
        self.lossless = true;
        self
    }

    /// Refuses messages of other types than the subscriber's own, also if they could be read. By default,
    /// messages of an older or newer version of the type are read by the names of their fields: see
    /// [`MessageType::compatible_with`](crate::message::MessageType::compatible_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::{Bus, Message, SubscribeOptions};
    ///
    /// mod old {
    ///     #[derive(splinter_bus::Message, serde::Serialize, serde::Deserialize)]
    ///     pub struct Reading { pub celsius: f32 }
    /// }
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Reading { celsius: f32, sensor: Option<String> }
    ///
    /// # let name = format!("splinter-doc-exact-{}", std::process::id());
    /// let bus: Bus<Reading> = Bus::create(&name)?;
    /// let (mut any, mut exact) = (bus.subscribe("k")?, bus.subscribe_with("k", &SubscribeOptions::new().exact())?);
    /// Bus::on(bus.store().clone()).publish("k", &old::Reading { celsius: 20.0 })?;
    /// assert_eq!(any.recv()?.sensor, None);
    /// assert!(exact.recv().is_err());
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.reads = Reads::Exact;
        self
    }

    /// Receives only messages whose recipient is this component id, or `*` (all). By default, the
    /// recipient does not matter. With an empty id, or `*`, receives only messages for all.
    ///
    /// Messages for others are skipped without being decoded: they are neither received nor
    /// reported, whatever their type is, and also if they have expired. So the newest message of the key is not
    /// checked when the subscriber is created. Frames that are damaged are
    /// reported, because their recipient is not known.
    ///
    /// Skipped messages are messages of the key in every other respect. A message that is overwritten
    /// before it was skipped counts as [missed](crate::RecvError::Lagged). Publishers of a
    /// [lossless](Self::lossless) subscriber wait until it has skipped a message. A message for others
    /// makes the subscriber [behind](crate::Subscriber::is_behind), wakes those that wait for it, and
    /// makes it ready in a [`WaitSet`](crate::WaitSet). After that, `try_recv` may return `None`, and
    /// `recv` goes on waiting. So a program with a [`WaitSet`](crate::WaitSet) calls `try_recv`.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::{Bus, SubscribeOptions};
    ///
    /// # let name = format!("splinter-doc-addressed-to-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut orders = bus.subscribe_with("orders", &SubscribeOptions::new().addressed_to("worker-2"))?;
    /// let mut publisher = bus.publisher("orders")?;
    /// publisher.message(&b"start".to_vec()).to("worker-1").send()?;
    /// publisher.message(&b"stop".to_vec()).to("worker-2").send()?;
    /// publisher.publish(&b"sleep".to_vec())?;
    /// assert_eq!(**orders.recv()?, *b"stop");
    /// assert_eq!(**orders.recv()?, *b"sleep");
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn addressed_to(mut self, component: impl Into<String>) -> Self {
        self.addressed_to = Some(component.into().into_boxed_str());
        self
    }

    /// Sets the options of the key, if the subscriber creates it. A key that exists with less is an
    /// error.
    #[must_use]
    pub fn key_options(mut self, options: KeyOptions) -> Self {
        self.key_options = options;
        self
    }
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self::new()
    }
}
