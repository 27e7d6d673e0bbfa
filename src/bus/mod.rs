//! The bus: typed messages under keys, published and subscribed to.
//!
//! A [`Bus`] is a store with a message type. Publishing encodes the message, puts it into a frame with its envelope, and sets
//! the key; receiving copies the frame out, checks it, and decodes it. Several types can share a store, one to a key.

mod aligned;
#[cfg(feature = "async")]
mod async_receivers;
mod error;
mod handle;
mod ids;
mod loan;
mod names;
mod options;
mod parts;
mod publisher;
mod receive;
mod received;
mod sample;
mod subscriber;
mod wait_set;
mod work_queue;

#[cfg(feature = "async")]
pub use async_receivers::{AsyncSubscriber, AsyncWorkQueue};
pub use error::{AcknowledgeError, PublishError, RecvError, SubscribeError, WaitError};
pub use handle::Bus;
pub use loan::{Loan, LoanUninit};
pub use options::{Start, SubscribeOptions};
pub use publisher::{Publisher, Sent, Stream};
pub use received::{Envelope, Received};
pub use sample::Sample;
pub use subscriber::Subscriber;
pub use wait_set::{Source, WaitSet, Waited, Waker};
pub use work_queue::{Job, WorkQueue};
