//! Waiting for a version or for free space.

pub(super) mod free_space;
pub(super) mod wait;
