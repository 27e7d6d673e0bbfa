//! The one place that names atomics: the processor's, or loom's under `cfg(loom)`.

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
