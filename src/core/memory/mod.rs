//! Bytes that other processes write while we read them, lent as records and words that are safe to access.
//!
//! All unsafe code that touches shared bytes is in this folder. It rests on three facts. A record consists of atomics
//! alone, so a reference to it claims nothing about who else writes there, and every bit pattern is valid. Whatever is
//! lent was checked to lie inside the mapping, aligned. The mapping lives as long as the borrow of its `Region`.
//!
//! loom's atomics cannot be laid over bytes. Under loom, `cells` lends cells of a `Vec`, and there is no `Region`; all
//! else is the same code.
//!
//! - [`records`]: the layout of what lies in shared memory;
//! - [`slot_view`], [`cell_view`], [`cells`]: a slot with its cells, in the form in which the protocol sees memory;
//! - [`words`]: values, copied in and out by relaxed atomic words (`word_copy`), longer ones by wider accesses (`block_copy`);
//! - `region`: a mapping that lends records; `table`: where they lie in it; `lent`: a cell's bytes, to be written in place.

pub(crate) mod cell_view;
#[cfg_attr(loom, path = "heap_cells.rs")]
pub(crate) mod cells;
#[cfg_attr(any(loom, portable_copies, not(target_arch = "x86_64")), path = "word_copy.rs")]
#[cfg_attr(not(any(loom, portable_copies, not(target_arch = "x86_64"))), path = "block_copy.rs")]
mod copy;
#[cfg(not(loom))]
pub(crate) mod lent;
pub(crate) mod records;
#[cfg(not(loom))]
pub(crate) mod region;
#[cfg_attr(loom, path = "unshared.rs")]
mod shared;
pub(crate) mod slot_view;
#[cfg(not(loom))]
pub(crate) mod table;
mod word_copy;
pub(crate) mod words;
