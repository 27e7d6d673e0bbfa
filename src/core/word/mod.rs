//! The words of shared memory that the protocol turns on, one per file: how each is encoded, which
//! changes are legal, and what a crash leaves.
//!
//! | word | of | says |
//! | --- | --- | --- |
//! | [`Head`] | a slot | which cell holds the newest value, and its version |
//! | [`Seq`] | a cell | who may touch the cell, and which version it holds |
//! | [`Cursor`] | a slot, one per lossless subscriber | what the subscriber has not received |
//! | [`LowWaterMark`] | a slot | the smallest cursor, or less |
//! | [`QueueWord`] | a slot | from which version on values are messages of a work queue |
//! | [`Delivery`] | a cell | which worker has the message |
//! | [`Residue`] | a cell | how far bytes were written, and which places have space reserved |
//!
//! Any bits are a valid word, and a zeroed word is the state of a new store.

mod cursor;
mod delivery;
mod head;
mod low_water_mark;
mod queue;
mod residue;
mod seq;
mod version;

pub(crate) use cursor::Cursor;
pub(crate) use delivery::{Delivery, Progress};
pub(crate) use head::{Head, LOST_CELL};
pub(crate) use low_water_mark::LowWaterMark;
pub(crate) use queue::QueueWord;
pub(crate) use residue::Residue;
pub(crate) use seq::{FRESH_TICKET, Seq};
pub(crate) use version::{MAX_PLAUSIBLE_VERSION, MAX_VERSION};
