//! The bus: typed messages under keys, published and subscribed to.
//!
//! A [`Bus`] is a store with a message type. Publishing encodes the message, puts it into a frame with its envelope, and sets
//! the key; receiving copies the frame out, checks it, and decodes it. Several types can share a store, one to a key.

mod envelope;
mod error;
mod handle;
mod ids;
mod names;
mod parts;
mod publish;
mod receive;
mod received;
mod shared;

pub use envelope::Envelope;
pub use error::{AcknowledgeError, PublishError, RecvError, SubscribeError, WaitError};
pub use handle::Bus;
pub use publish::{Loan, LoanUninit, Publisher, Sent, Stream};
#[cfg(feature = "async")]
pub use receive::{AsyncSubscriber, AsyncWorkQueue};
pub use receive::{Job, Sample, Source, Start, SubscribeOptions, Subscriber, WaitSet, Waited, Waker, WorkQueue};
pub use received::Received;
