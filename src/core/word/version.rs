//! Versions: the numbers of the publishes on one slot.

/// Bits of a version in every word: at ten million publishes a second they last 325 days for one
/// key.
pub(crate) const VERSION_BITS: u32 = 48;

/// The largest version.
pub(crate) const MAX_VERSION: u64 = (1 << VERSION_BITS) - 1;

/// The largest version that a recovery believes.
///
/// A slot needs at least five months of nothing but publishing to exceed it. A larger one, found
/// where damage is possible, counts as damage: if it were believed, it would use up the versions of
/// all keys.
pub(crate) const MAX_PLAUSIBLE_VERSION: u64 = MAX_VERSION / 2;
