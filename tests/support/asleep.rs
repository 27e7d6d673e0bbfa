//! Threads that have fallen asleep.

use std::fs;

use rustix::thread::Pid;

use super::wait::wait_until;

/// Returns the id of the calling thread.
pub fn this_thread() -> Pid {
    rustix::thread::gettid()
}

/// Waits until a thread of this process sleeps in the kernel. The thread must not do so before it
/// waits for the caller.
pub fn wait_until_asleep(thread: Pid) {
    let stat = format!("/proc/self/task/{thread}/stat");
    wait_until("the thread sleeps", || {
        let stat = fs::read_to_string(&stat).expect("a thread that still runs");
        // The state follows the name of the thread, which is in brackets and may contain brackets;
        // see proc_pid_stat(5).
        let (_, fields) = stat.rsplit_once(')').expect("the name in brackets");
        fields.trim_start().starts_with('S')
    });
}
