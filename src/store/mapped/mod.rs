//! A store's memory, the file behind it, and the locks on that file.

mod lock_byte;
#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod mapped;
mod memory;
pub(crate) mod space;
pub(crate) mod usage;

pub(crate) use lock_byte::LockByte;
pub(crate) use mapped::{Mapped, StoreShape};
pub(crate) use memory::Memory;
