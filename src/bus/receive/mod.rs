//! Receiving messages: subscribers, work queues, samples, and waiting for several of them.

#[cfg(feature = "async")]
mod async_receivers;
mod expiry;
mod newest;
mod options;
mod origin;
mod recreate;
mod recv;
mod recv_sample;
mod sample;
mod sender_types;
mod storage;
mod subscribe;
mod subscriber;
mod wait_set;
mod work_queue;

#[cfg(feature = "async")]
pub use async_receivers::{AsyncSubscriber, AsyncWorkQueue};
pub use options::{Start, SubscribeOptions};
pub use sample::Sample;
pub(super) use sender_types::{Reads, SenderTypes};
pub use subscriber::Subscriber;
pub use wait_set::{Source, WaitSet, Waited, Waker};
pub use work_queue::{Job, WorkQueue};
