//! The bus: typed messages under keys, published and subscribed to.
//!
//! A [`Bus`] is a store with a message type. Publishing encodes the message, puts it into a frame with its envelope, and sets
//! the key; receiving copies the frame out, checks it, and decodes it. Any number of types share a store, one to a key.

mod error;
mod handle;
mod ids;
mod names;
mod publisher;
mod received;
mod subscriber;

pub use error::{PublishError, RecvError, SubscribeError};
pub use handle::Bus;
pub use publisher::{Publisher, Sent, Stream};
pub use received::{Envelope, Received};
pub use subscriber::{Start, Subscriber};
