//! Publishing: claim a cell, fill it, move `head` to it, commit it.

pub(super) mod append;
pub(super) mod claim;
pub(super) mod claim_for;
pub(super) mod fill;
pub(super) mod help;
pub(super) mod modify;
pub(super) mod publish;
pub(super) mod publish_if;
pub(super) mod replicate;
pub(super) mod storage;
