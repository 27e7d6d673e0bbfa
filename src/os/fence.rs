//! A memory fence on behalf of all threads of the machine.

use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};

/// Longer than a store can stay in a processor's store buffer, invisible to others: there it waits
/// only for its cache line, about a microsecond, also on a busy machine.
const DRAINED: Duration = Duration::from_millis(20);

/// Makes the stores of all threads of the machine, in all processes, visible to all; the other half
/// of [`sync::light_fence`](crate::sync::light_fence). May take some tens of milliseconds.
pub(crate) fn heavy() {
    // Some kernels lack it, or refuse it where processors are isolated from interrupts. Sandboxes
    // may forbid it.
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(DRAINED);
    }
}
