//! Removing: retired values, and what crashed participants hold.

pub(super) mod reap;
pub(super) mod retire;
pub(super) mod trim;
