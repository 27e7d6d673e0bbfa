//! One file for each measured system.

pub(crate) mod bare;
pub(crate) mod crossbar;
pub(crate) mod iceoryx2;
#[cfg(feature = "libsplinter")]
pub(crate) mod libsplinter;
pub(crate) mod redis;
pub(crate) mod ringfire;
pub(crate) mod splinter_bus;
pub(crate) mod unix_socket;
