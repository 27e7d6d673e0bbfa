//! A fence that is done on behalf of everybody else.

use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};

/// Longer than any store that a processor has begun stays out of the sight of others: it waits
/// there for its cache line and for nothing else, which is a microsecond, however busy the machine.
const DRAINED: Duration = Duration::from_millis(20);

/// Has every thread of the machine, in whatever process, carry out the stores that it has begun;
/// the other half of [`sync::light_fence`](crate::sync::light_fence). May take some tens of
/// milliseconds.
pub(crate) fn heavy() {
    // Kernels may lack it, or refuse it where they keep processors free of interrupts, and
    // sandboxes may forbid it.
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(DRAINED);
    }
}
