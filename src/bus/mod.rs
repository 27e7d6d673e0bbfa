//! The bus: typed messages, published and received under keys.
//!
//! A [`Bus`] is a store together with a message type. To publish, it encodes the message, writes it
//! into a frame with its envelope, and stores the frame as the newest version of the key. To
//! receive, it copies the frame out of the store, checks it, and decodes the message. Buses of
//! several types can share a store; each key has messages of one type.

mod envelope;
mod error;
mod handle;
mod ids;
mod names;
mod publish;
mod receive;
mod received;
mod shared;
mod stored_types;
mod trim;

pub use envelope::Envelope;
pub use error::{AcknowledgeError, PublishError, RecvError, SubscribeError, TypeMismatch, WaitError};
pub use handle::Bus;
pub use publish::{Loan, LoanUninit, OutgoingMessage, Publisher, Sent, Stream};
#[cfg(feature = "async")]
pub use receive::{AsyncSubscriber, AsyncWorkQueue};
pub use receive::{Job, Sample, Source, Start, SubscribeOptions, Subscriber, WaitSet, Waited, Waker, WorkQueue};
pub use received::Received;
pub use stored_types::StoredTypeError;
