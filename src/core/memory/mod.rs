//! Bytes that other processes write while we look at them, lent out as records and words that are safe to touch.
//!
//! All unsafe code that touches shared bytes is in this folder. It rests on three things. A record is made of atomics
//! alone, so a reference to it asserts nothing about who else writes there, and every bit pattern is valid. Whatever is
//! lent out was checked to lie inside the mapping, aligned. The mapping lives as long as the borrow of its [`Region`].
//!
//! - [`records`]: the shapes of what lies in shared memory;
//! - [`view`]: a slot with its cells, the form in which the protocol sees memory (shared, or loom's);
//! - [`words`]: values, copied in and out by relaxed atomic words;
//! - `block_copy`: the same for longer values, by wider accesses;
//! - [`mapping`]: the mapping itself.

#[cfg(all(target_arch = "x86_64", not(loom), not(portable_copies)))]
mod block_copy;
#[cfg(not(loom))]
pub(crate) mod mapping;
pub(crate) mod records;
pub(crate) mod view;
pub(crate) mod words;

#[cfg(not(loom))]
pub(crate) use mapping::Region;
