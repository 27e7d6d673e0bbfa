//! One file for each measurement: what the worker process does, and what its partner does.

pub(crate) mod footprint;
pub(crate) mod lookup;
pub(crate) mod mpsc;
pub(crate) mod mrsw;
pub(crate) mod open;
pub(crate) mod ping_pong;
pub(crate) mod round_trip;
pub(crate) mod typed;
pub(crate) mod wake;
