//! Copies by the widest accesses of the processor, of values that are long enough to gain by it.
//!
//! The compiler turns a loop over atomic words into just that, eight bytes at a time: at 4 KiB, two thirds of it is waiting. What
//! may be written by others meanwhile must not be touched by plain accesses either, nor by `memcpy`; assembly may do it, as long as it does
//! what a loop over relaxed atomic words could have done. This does: each aligned word is inside one access or, where an access
//! crosses a line, on one side of the cut, so it is read and written as a whole, in whatever order; words may be copied twice.
//!
//! Built with `--cfg portable_copies`, or for other processors, values are copied by words: so sanitizers, which see only what the compiler
//! wrote, see each access.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::is_x86_feature_detected;

use super::word_copy::{self, WORD};
use crate::sync::AtomicU64;

/// The shortest copy, in bytes.
const BLOCK: usize = 64;

/// From here on, in bytes, twice as wide accesses are worth a look at what the processor has.
const LONG: usize = 256;

#[inline]
pub(super) fn store_whole(words: &[AtomicU64], bytes: &[[u8; WORD]]) {
    let count = words.len().min(bytes.len());
    if count * WORD < BLOCK {
        return word_copy::store_whole(words, bytes);
    }
    let to = words.as_ptr().cast::<u8>().cast_mut();
    // SAFETY: both have room for `count` words. Atomics may be written through a shared reference, and these are touched by others
    // only as atomics.
    unsafe { copy(to, bytes.as_ptr().cast(), count * WORD) }
}

#[inline]
pub(super) fn load_whole(words: &[AtomicU64], bytes: &mut [[u8; WORD]]) {
    let count = words.len().min(bytes.len());
    if count * WORD < BLOCK {
        return word_copy::load_whole(words, bytes);
    }
    // SAFETY: both have room for `count` words; these are touched by others only as atomics.
    unsafe { copy(bytes.as_mut_ptr().cast(), words.as_ptr().cast(), count * WORD) }
}

/// Copies `len` bytes, at least [`BLOCK`] and a multiple of eight.
///
/// # Safety
///
/// Both are `len` bytes that are mapped for the call, `from` readable, `to` writable, and do not overlap. The one that is shared is aligned to
/// eight and touched by others only by atomic accesses of words; nobody else touches the one that is not.
#[inline]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    debug_assert!(len >= BLOCK && len.is_multiple_of(8));
    if len >= LONG && is_x86_feature_detected!("avx") {
        // SAFETY: as the caller promises; the processor has it.
        unsafe { copy_32(to, from, len) }
    } else {
        // SAFETY: as the caller promises.
        unsafe { copy_16(to, from, len) }
    }
}

/// By 16 bytes, which every processor of this kind can.
///
/// # Safety
///
/// As [`copy`].
#[inline]
unsafe fn copy_16(to: *mut u8, from: *const u8, len: usize) {
    // The last block may overlap the one before. Offsets count up to it, and are negative, so that they end at zero.
    let last = len - BLOCK;
    // SAFETY: as the caller promises: all offsets are below `len`.
    unsafe {
        asm!(
            "test {at}, {at}",
            "jz 3f",
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
            from = in(reg) from.wrapping_add(last),
            to = in(reg) to.wrapping_add(last),
            at = inout(reg) last.wrapping_neg() => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// By 32 bytes, written to where a write crosses no line: those that do take twice as long.
///
/// # Safety
///
/// As [`copy`], and the processor has AVX.
#[target_feature(enable = "avx")]
unsafe fn copy_32(to: *mut u8, from: *const u8, len: usize) {
    let last = len - BLOCK;
    // The second block begins on a line, and overlaps the first. A place in the middle of a word is none to begin at: of the side that is
    // shared, words must stay whole.
    let skip = (BLOCK - to.addr() % BLOCK) / 8 * 8;
    // SAFETY: as the caller promises: all offsets are below `len`.
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
            // Or whatever uses the registers' lower halves next is slow.
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
