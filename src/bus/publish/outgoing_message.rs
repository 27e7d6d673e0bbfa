//! `OutgoingMessage`: one message with fields of its own in its envelope.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use super::publisher::Publisher;
use super::sent::Sent;
use super::ttl::Ttl;
use super::writer::Overrides;
use crate::bus::error::PublishError;
use crate::message::Message;
use crate::store::wait::Deadline;

impl<T: Message> Publisher<T> {
    /// Begins a message that has fields of its own in its envelope. [`OutgoingMessage::send`]
    /// publishes it. Fields that are not set are those of the publisher.
    pub fn message<'a>(&'a mut self, message: &'a T) -> OutgoingMessage<'a, T> {
        OutgoingMessage { publisher: self, message, id: None, overrides: Overrides::default() }
    }
}

/// A message that is not sent yet, with fields of its own in its envelope. Made by
/// [`Publisher::message`].
///
/// Allocates nothing. Names may have at most 255 bytes; a longer one is an error of
/// [`send`](Self::send).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::{Bus, Message};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// #[message(kind = "query")]
/// struct Prompt { text: String }
///
/// # let name = format!("splinter-doc-outgoing-message-{}", std::process::id());
/// let bus: Bus<Prompt> = Bus::create(&name)?;
/// let mut prompts = bus.publisher("llm:prompt")?.from("gateway").ttl(Duration::from_secs(60));
/// let prompt = Prompt { text: "Why is the sky blue?".into() };
/// let sent = prompts.message(&prompt).to("worker-2").ttl(Duration::from_secs(5)).reply_to("answers").send()?;
/// let received = bus.get("llm:prompt")?.expect("one was published");
/// let envelope = received.envelope();
/// assert_eq!((envelope.id(), envelope.from(), envelope.to()), (sent.id, "gateway", "worker-2"));
/// assert_eq!((envelope.reply_to(), envelope.ttl()), ("answers", Some(Duration::from_secs(5))));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a message is published by `send`"]
pub struct OutgoingMessage<'a, T> {
    publisher: &'a mut Publisher<T>,
    message: &'a T,
    /// `None`: a new one.
    id: Option<Uuid>,
    overrides: Overrides<'a>,
}

impl<'a, T: Message> OutgoingMessage<'a, T> {
    /// Sets the id: that of the query that the message answers, or of the message that it repeats.
    /// The default is a new one.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the sender's component id, for messages that are passed on for another component. An
    /// empty one stands for the default of [`Publisher::from`].
    pub fn from(mut self, component: &'a str) -> Self {
        self.overrides.from = Some(component);
        self
    }

    /// Sets the recipient's component id; empty, or `*`, for all.
    pub fn to(mut self, component: &'a str) -> Self {
        self.overrides.to = Some(component);
        self
    }

    /// Sets the time after which the message expires, like [`Publisher::ttl`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.overrides.ttl = Some(Ttl::of(ttl));
        self
    }

    /// Sets the trace or span to which the message belongs; empty for none.
    pub fn trace(mut self, trace: &'a str) -> Self {
        self.overrides.trace = Some(trace);
        self
    }

    /// Sets where answers are expected: a key, or `KEY#LANE`; empty for nowhere.
    pub fn reply_to(mut self, key: &'a str) -> Self {
        self.overrides.reply_to = Some(key);
        self
    }

    /// Sets which attempt the message belongs to: 1, the default, for the first delivery of what it
    /// answers, more if the answer was begun again. 0 counts as 1; 255 stands for 255 or more.
    pub fn attempt(mut self, attempt: u8) -> Self {
        self.overrides.attempt = attempt;
        self
    }

    /// Publishes the message, like [`Publisher::publish`]. Never waits for free cells.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
    pub fn send(self) -> Result<Sent, PublishError> {
        self.send_within(Deadline::Now)
    }

    /// Publishes the message, like [`Publisher::publish_timeout`]. Waits at most `timeout` for a free
    /// cell.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
    pub fn send_timeout(self, timeout: Duration) -> Result<Sent, PublishError> {
        self.send_within(Deadline::after(Some(timeout)))
    }

    fn send_within(self, deadline: Deadline) -> Result<Sent, PublishError> {
        self.publisher.publish_with(self.message, self.id, Some(&self.overrides), deadline)
    }
}

impl<T> fmt::Debug for OutgoingMessage<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("key", &self.publisher.key)
            .field("id", &self.id)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}
