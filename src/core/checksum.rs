//! The checksums of cells in files: they tell, after a crash of the machine or in a copy, which values are whole.
//!
//! A checksum covers the value, its length, its version, the gap before it, and the hash of its key. So it holds for this value alone, under this
//! key alone, however the pages of different moments are mixed.

/// The checksum of a value's bytes alone.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Binds the checksum of a value's bytes to what else must be true of it.
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
