//! Recovering a slot in a file after a crash of the machine.

mod boot;
pub(super) mod proof;
pub(super) mod recover;
pub(super) mod unproven;
