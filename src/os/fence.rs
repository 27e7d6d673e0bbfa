//! A fence that is done on behalf of everybody else.

use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};

/// Longer than any store that a processor has begun stays out of the sight of others: that is a microsecond, and interrupts end it at the latest.
const DRAINED: Duration = Duration::from_millis(20);

/// Has every thread of the machine, in whatever process, carry out the stores that it has begun; the other half of
/// [`sync::light_fence`](crate::sync::light_fence). May take some tens of milliseconds.
pub(crate) fn heavy() {
    // Kernels may lack it, and sandboxes may forbid it.
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(DRAINED);
    }
}
