//! How often an operation that others keep overtaking tries again.

/// The number of attempts, if one attempt may touch this many bytes.
///
/// It is so large that failing by chance is out of the question: then the memory is damaged or
/// hostile. And so small that all attempts together take about a second.
#[inline]
pub(crate) fn retry_limit(bytes: usize) -> u32 {
    ((1_usize << 30) / bytes.max(1)).clamp(64, 1 << 20) as u32
}
