//! The checksums of cells in files. They say, after a crash of the machine or in a copy, which
//! values are whole.
//!
//! It is a CRC-32 over the value, the hash of its key, its version, the gap before it, and its
//! length. So it is right for this value under this key alone, even if the pages of the file are
//! from different moments.

/// The checksum of a value's bytes alone.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Extends the checksum of a value's bytes over its key, version, gap and length.
#[inline]
pub(crate) fn seal(sum: u32, key_hash: u64, version: u64, gap: u32, len: u32) -> u32 {
    let mut bound = [0; 24];
    bound[..8].copy_from_slice(&key_hash.to_ne_bytes());
    bound[8..16].copy_from_slice(&version.to_ne_bytes());
    bound[16..20].copy_from_slice(&gap.to_ne_bytes());
    bound[20..].copy_from_slice(&len.to_ne_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.update(&bound);
    hasher.finalize()
}
