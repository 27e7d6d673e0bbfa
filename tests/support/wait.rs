//! Waiting for a condition.

#![allow(dead_code, unreachable_pub, reason = "a module of several test binaries, each of which uses a part of it")]

use std::time::{Duration, Instant};

/// Longer than any operation takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds. Panics after [`DEADLINE`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "timed out while waiting until {what}");
        std::thread::yield_now();
    }
}
