//! How often to try again.

/// How often to try again what fails only by chance, if an attempt may touch so many bytes: until it is no chance any more, but somebody who
/// misleads us, and no longer than a second or so.
#[inline]
pub(crate) fn attempts(bytes: usize) -> u32 {
    ((1_usize << 30) / bytes.max(1)).clamp(64, 1 << 20) as u32
}
