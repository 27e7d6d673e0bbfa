//! Which types may be laid over bytes that other processes write.

#![allow(unsafe_code)]

use crate::sync::{AtomicU32, AtomicU64};

/// Types that may be laid over bytes that other processes write at any moment.
///
/// # Safety
///
/// Every byte of the type, except padding, belongs to an atomic, and every bit pattern is valid for it.
pub(crate) unsafe trait Shared {}

// SAFETY: an atomic, for which every bit pattern is valid.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic, for which every bit pattern is valid.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an array has the bytes of its elements and no others.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// Checks the size of a record, and that each of its fields may be shared; so the record may be shared, too.
macro_rules! layout {
    ($name:ident, $size:literal, $($type:ty,)*) => {
        // SAFETY: every field is `Shared`, which the constant below has the compiler check; the rest is padding.
        unsafe impl crate::core::memory::shared::Shared for $name {}

        const _: () = {
            const fn shared<T: crate::core::memory::shared::Shared>() {}
            $(shared::<$type>();)*
            assert!(size_of::<$name>() == $size);
        };
    };
}

pub(crate) use layout;
