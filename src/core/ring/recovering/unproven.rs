//! How many jobs of a work queue a crash of the machine may have lost.
//!
//! A job is lost if it was published, was not done, and no cell proves it. There are two kinds:
//!
//! - *Damaged* jobs have left a cell that says it holds them, fails its checksum, and does not say
//!   that they are done.
//! - *Missing* jobs have left no cell at all. Their versions are below the largest version of which
//!   there is a trace, and above the last flush: what was flushed and is not there any more was
//!   done. Each may have been in a cell whose page on the disk is from before, that is, in a cell
//!   that holds an older version. So at most as many jobs are missing as can be assigned such a
//!   cell each.
//!
//! **Crash.** The counts are written into the slot before the recovery changes anything. A recovery
//! that starts again after a crash reports the same, or more.

use std::cmp::Reverse;

use super::proof::Pages;
use crate::core::ring::ring::Ring;
use crate::core::word::{Delivery, FRESH_TICKET, MAX_PLAUSIBLE_VERSION, Progress, Seq};
use crate::sync::Ordering;

/// How many jobs of a work queue may have been lost. The two numbers count different jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UnprovenCount {
    pub(crate) damaged: u32,
    pub(crate) missing: u32,
}

impl UnprovenCount {
    /// The word `unproven_jobs` of the slot while the recovery is in progress: (1 : 1 | damaged :
    /// 31 | missing : 32).
    fn bits(self) -> u64 {
        1 << 63 | u64::from(self.damaged) << 32 | u64::from(self.missing)
    }

    fn from_bits(bits: u64) -> Option<Self> {
        (bits >> 63 == 1).then_some(Self { damaged: (bits >> 32) as u32 & !(1 << 31), missing: bits as u32 })
    }
}

impl Ring<'_> {
    /// Counts the unproven jobs of the queue, which begins at `first`. `proven` are the versions
    /// that cells prove, with their cells.
    pub(crate) fn count_unproven_jobs(self, first: u64, proven: &[(u64, u32)], pages: Pages) -> UnprovenCount {
        let word = &self.slot().header.unproven_jobs;
        // The counts of a recovery that crashed. They may be those of an older recovery, whose end
        // did not reach the disk: so no loss is hidden.
        let before = UnprovenCount::from_bits(word.load(Ordering::Relaxed)).unwrap_or_default();
        let (head, base_version) = (self.head(), self.base_version());
        let mut damaged = 0;
        // For each cell, a version that it held at least.
        let mut cell_versions: Vec<u64> = Vec::new();
        for (index, cell) in self.cells() {
            let (holds, version) = match Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)) {
                Seq::Writing { .. } if head.cell() == Some(index) => (true, head.version()),
                // It held this version, which was done, and is being overwritten.
                Seq::Writing { ticket, .. } if ticket < FRESH_TICKET => (false, ticket),
                seq => seq.readable().map_or((false, 0), |version| (true, version)),
            };
            let version = if version <= MAX_PLAUSIBLE_VERSION { version } else { 0 };
            let is_proven = proven.iter().any(|&(_, at)| at == index);
            let delivery = Delivery::from_bits(cell.header.delivery.load(Ordering::Relaxed));
            let is_job = version >= first && version > base_version && delivery.progress_of(version) != Progress::Done;
            damaged += u32::from(holds && is_job && !is_proven);
            cell_versions.push(version);
        }
        let jobs = if damaged == 0 && pages == Pages::OneMoment {
            UnprovenCount::default()
        } else {
            let flushed = self.slot().header.flushed.load(Ordering::Relaxed);
            let known = base_version.max(first.saturating_sub(1)).max(flushed.min(MAX_PLAUSIBLE_VERSION));
            let highest = self.highest_version();
            cell_versions.sort_unstable_by_key(|&version| Reverse(version));
            let missing = cell_versions.iter().enumerate().fold(0, |missing, (newer, &version)| {
                // Versions that are later than this cell's, and in no cell.
                let later = highest.saturating_sub(version.max(known));
                let in_cells = cell_versions[..newer].iter().filter(|&&held| held > version.max(known)).count() as u64;
                missing + u32::from(later.saturating_sub(in_cells) > u64::from(missing))
            });
            UnprovenCount { damaged, missing }
        };
        // A cell accounts for one job at most.
        let at_most = |before: u32, counted: u32| before.max(counted).min(self.handle.shape().cells());
        let jobs = UnprovenCount {
            damaged: at_most(before.damaged, jobs.damaged),
            missing: at_most(before.missing, jobs.missing),
        };
        // Release: before the recovery changes anything. (Pairs with nothing but a crash.)
        word.store(jobs.bits(), Ordering::Release);
        jobs
    }
}
