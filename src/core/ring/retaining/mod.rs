//! Retaining: which cells writers must not overwrite.

pub(super) mod flush;
pub(super) mod gap;
pub(super) mod retention;
