//! Records of loom's atomics: they have other sizes, and are never laid over bytes.

/// Checks nothing.
macro_rules! layout {
    ($($ignored:tt)*) => {};
}

pub(super) use layout;
