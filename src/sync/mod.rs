//! Atomics and fences: the processor's, or those of loom, which have the same interface. No other
//! file names either.

#[cfg_attr(loom, path = "model.rs")]
mod processor;

pub(crate) use processor::*;
