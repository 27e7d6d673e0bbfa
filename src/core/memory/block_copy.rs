//! Copies of longer values by the widest accesses of an x86-64 processor.
//!
//! The compiler keeps a loop over atomic words as it is, eight bytes at a time. At 4 KiB, two
//! thirds of that time is waiting. Bytes that other processes write meanwhile must not be touched
//! by plain accesses, nor by `memcpy`. Assembly may touch them, as long as it does what a loop over
//! relaxed atomic words could have done. This code does: each aligned word lies inside one access
//! or, where an access crosses a line, on one side of the cut. So it is read and written as a
//! whole, in any order. Words may be copied twice.
//!
//! Built with `--cfg portable_copies`, or for other processors, values are copied by words. So
//! sanitizers, which see only accesses of the compiler, see each of them.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::is_x86_feature_detected;

use super::word_copy::{self, WORD};
use crate::sync::AtomicU64;

/// The shortest copy by blocks, in bytes.
const BLOCK: usize = 64;

/// From this length on, in bytes, accesses of 32 bytes are worth the check that the processor has
/// them.
const LONG: usize = 256;

#[inline]
pub(super) fn store_whole(words: &[AtomicU64], bytes: &[[u8; WORD]]) {
    let count = words.len().min(bytes.len());
    if count * WORD < BLOCK {
        return word_copy::store_whole(words, bytes);
    }
    let to = words.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: both have room for `count` words. Atomics may be written through a shared reference,
    // and others touch these only as atomics.
    unsafe { copy(to, bytes.as_ptr().cast(), count * WORD) }
}

#[inline]
pub(super) fn load_whole(words: &[AtomicU64], bytes: &mut [[u8; WORD]]) {
    let count = words.len().min(bytes.len());
    if count * WORD < BLOCK {
        return word_copy::load_whole(words, bytes);
    }
    // SAFETY: both have room for `count` words; others touch the words only as atomics.
    unsafe { copy(bytes.as_mut_ptr().cast(), words.as_ptr().cast(), count * WORD) }
}

/// Copies `len` bytes, at least [`BLOCK`] and a multiple of eight.
///
/// # Safety
///
/// Both are `len` bytes that are mapped during the call, `from` readable, `to` writable, and they
/// do not overlap. The shared one is aligned to eight, and others touch it only by atomic accesses
/// of words. Nobody else touches the private one.
#[inline]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    debug_assert!(len >= BLOCK && len.is_multiple_of(8));
    if len >= LONG && is_x86_feature_detected!("avx") {
        // SAFETY: as the caller promises; the processor has AVX.
        unsafe { copy_32(to, from, len) }
    } else {
        // SAFETY: as the caller promises.
        unsafe { copy_16(to, from, len) }
    }
}

/// Copies by 16 bytes, which every x86-64 processor can.
///
/// # Safety
///
/// As [`copy`].
#[inline]
unsafe fn copy_16(to: *mut u8, from: *const u8, len: usize) {
    // The first block needs no length, which may still be on its way from memory. The last block may
    // overlap the one before it. Offsets are negative and count up to zero, where the last block
    // begins.
    // SAFETY: all accesses are below `len`, of bytes that the caller vouches for.
    unsafe {
        asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "sub {at}, 64",
            "jz 4f",
            "add {from}, {at}",
            "add {to}, {at}",
            "neg {at}",
            "add {at}, 64",
            "jns 3f",
            "2:",
            "movups {a}, [{from} + {at}]",
            "movups {b}, [{from} + {at} + 16]",
            "movups {c}, [{from} + {at} + 32]",
            "movups {d}, [{from} + {at} + 48]",
            "movups [{to} + {at}], {a}",
            "movups [{to} + {at} + 16], {b}",
            "movups [{to} + {at} + 32], {c}",
            "movups [{to} + {at} + 48], {d}",
            "add {at}, 64",
            "js 2b",
            "3:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "4:",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            at = inout(reg) len => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Copies by 32 bytes, with writes that cross no line: those that do take twice as long.
///
/// # Safety
///
/// As [`copy`], and the processor has AVX.
#[target_feature(enable = "avx")]
unsafe fn copy_32(to: *mut u8, from: *const u8, len: usize) {
    let last = len - BLOCK;
    // The second block begins on a line of `to`, and overlaps the first one. It begins at a
    // multiple of eight bytes, because words of the shared side must stay whole.
    let skip = (BLOCK - to.addr() % BLOCK) / 8 * 8;
    // SAFETY: all accesses are below `len`, of bytes that the caller vouches for; the processor has
    // AVX.
    unsafe {
        asm!(
            "vmovdqu ymm0, [{from} + rcx]",
            "vmovdqu ymm1, [{from} + rcx + 32]",
            "vmovdqu [{to} + rcx], ymm0",
            "vmovdqu [{to} + rcx + 32], ymm1",
            "add rcx, {skip}",
            "jns 3f",
            "2:",
            "vmovdqu ymm0, [{from} + rcx]",
            "vmovdqu ymm1, [{from} + rcx + 32]",
            "vmovdqu [{to} + rcx], ymm0",
            "vmovdqu [{to} + rcx + 32], ymm1",
            "add rcx, 64",
            "js 2b",
            "3:",
            "vmovdqu ymm0, [{from}]",
            "vmovdqu ymm1, [{from} + 32]",
            "vmovdqu [{to}], ymm0",
            "vmovdqu [{to} + 32], ymm1",
            // Without it, the next code that uses the registers' lower halves is slow.
            "vzeroupper",
            from = in(reg) from.wrapping_add(last),
            to = in(reg) to.wrapping_add(last),
            skip = in(reg) skip,
            inout("rcx") last.wrapping_neg() => _,
            // For `vzeroupper`.
            clobber_abi("C"),
            options(nostack),
        );
    }
}
