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
mod storage;
mod subscribe;
mod subscriber;
mod wait_set;
mod work_queue;
mod writers;

#[cfg(feature = "async")]
pub use async_receivers::{AsyncSubscriber, AsyncWorkQueue};
pub use options::{Start, SubscribeOptions};
pub use sample::Sample;
pub use subscriber::Subscriber;
pub use wait_set::{Source, WaitSet, Waited, Waker};
pub use work_queue::{Job, WorkQueue};
pub(super) use writers::{Reads, Writers};
