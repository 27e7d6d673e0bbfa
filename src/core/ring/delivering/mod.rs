//! Delivering: who has not received which version. Cursors of lossless subscribers, and work
//! queues.

pub(super) mod cursor;
pub(super) mod evict;
pub(super) mod low_water;
pub(super) mod queue;
