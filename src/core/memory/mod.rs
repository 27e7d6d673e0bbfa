//! Shared bytes, which other processes write while we read them, as records and words that are safe
//! to access.
//!
//! All unsafe code that touches shared bytes is in this folder. It rests on three facts. A record
//! consists of atomics alone, so a reference to it claims nothing about who else writes there, and
//! every bit pattern is valid. All records and words were checked to lie inside the mapping,
//! aligned. The mapping lives as long as the borrow of its `Region`.
//!
//! loom's atomics cannot be laid over bytes. Under loom, cells are those of a `Vec` (`heap_cells`),
//! records are not checked (`unshared`), and there is no `Region`. All else is the same code.
//!
//! | file | concept |
//! | --- | --- |
//! | [`records`] | the layout of shared memory, and who writes which field |
//! | `shared` | which types may be laid over shared bytes |
//! | [`slot_view`], [`cells`], [`cell_view`] | a slot with its cells, as the protocol sees it |
//! | [`words`] | copying values in and out by relaxed atomic words (`word_copy`), longer ones by wider accesses (`block_copy`) |
//! | [`extents`] | the long values of a slot |
//! | `reach` | how long the file is known to be |
//! | `region` | a mapping that lends records |
//! | `table` | the place of records in a region, checked once |
//! | `lent` | a cell's bytes, written in place by a loan |

pub(crate) mod cell_view;
#[cfg_attr(loom, path = "heap_cells.rs")]
pub(crate) mod cells;
#[cfg_attr(any(loom, portable_copies, not(target_arch = "x86_64")), path = "word_copy.rs")]
#[cfg_attr(not(any(loom, portable_copies, not(target_arch = "x86_64"))), path = "block_copy.rs")]
mod copy;
#[cfg_attr(loom, path = "heap_extents.rs")]
pub(crate) mod extents;
#[cfg(not(loom))]
pub(crate) mod lent;
#[cfg(not(loom))]
pub(crate) mod reach;
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
