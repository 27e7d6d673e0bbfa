//! The process that a session belongs to.

use crate::os::fork;
use crate::store::error::Forked;

/// The process that opened a store. Its children inherit nothing that a handle stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opener {
    forks: u64,
    pid: u32,
}

impl Opener {
    pub(crate) fn this_process() -> Self {
        Self { forks: fork::count(), pid: std::process::id() }
    }

    /// Whether that process is the parent of this one. Then nothing of the store may be changed,
    /// and no lock or mutex taken: a mutex may be held by a thread that only the parent has.
    #[inline]
    pub(crate) fn is_parent(&self) -> bool {
        self.forks != fork::count()
    }

    /// Refuses to go on in a child.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Forked> {
        if self.is_parent() { Err(self.forked()) } else { Ok(()) }
    }

    #[cold]
    fn forked(&self) -> Forked {
        Forked { opened_by: self.pid }
    }
}
