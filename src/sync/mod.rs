//! Atomics and fences: the processor's, or loom's under `cfg(loom)`. No other file names either.

#[cfg(loom)]
mod model;
#[cfg(not(loom))]
mod processor;
#[cfg(loom)]
pub(crate) mod watched;

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(loom))]
pub(crate) use processor::*;
