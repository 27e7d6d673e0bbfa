//! Waiting: until when, spinning, sleeping.

mod deadline;
mod spin;
mod wait_until;

pub(crate) use deadline::Deadline;
pub(crate) use spin::Spin;
pub(crate) use wait_until::{LONGEST_SLEEP, SpinningWaiter, notify, wait_for_event, wait_until_found};
