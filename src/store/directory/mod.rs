//! Which slot has which key, and how that changes.

mod locked;
mod rebuild;
mod wait_limit;

pub(crate) use locked::{Full, Locked, lock};
pub(crate) use rebuild::rebuild;
pub(crate) use wait_limit::{LONGEST_WAIT, WaitLimit};
