//! Checks the history of every job, from the journals of all workers.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::journal::{self, Event, Record};

/// The numbers of jobs, and how many were affected by kills.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Certainly published.
    pub(crate) published: u64,
    /// Unknown, because the publisher was killed while it published them.
    pub(crate) perhaps_published: u64,
    pub(crate) handled: u64,
    /// Handled more than once, because a worker was killed before it acknowledged them.
    pub(crate) handled_again: u64,
    /// Handled in a later attempt, because a worker requeued them or was killed while it had them.
    pub(crate) later_attempts: u64,
    /// Handled by a worker that was killed before it acknowledged them.
    pub(crate) unacknowledged: u64,
}

#[derive(Debug, Default)]
struct Job {
    intended: bool,
    open: bool,
    version: u64,
    handlings: Vec<Handling>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Handling {
    attempt: u8,
    worker: u64,
    version: u64,
    acknowledged: bool,
}

/// Reads all journals, counts the jobs, and adds defects.
pub(crate) fn check(
    arena: &Arena,
    workers: u64,
    killed: &HashSet<u64>,
    defects: &mut Vec<Defect>,
) -> io::Result<Accounts> {
    let mut jobs: HashMap<(u32, u64), Vec<Job>> = HashMap::new();
    for worker in 1..=workers {
        for record in journal::read(&arena.directory, worker)? {
            apply(&mut jobs, worker, record);
        }
    }
    let mut accounts = Accounts::default();
    for ((queue, publisher), jobs) in &mut jobs {
        for (sequence, job) in jobs.iter_mut().enumerate() {
            job.handlings.sort_unstable();
            if let Some((fault, what)) = accounts.add(job, killed) {
                let key = arena.name(Sort::Queue, queue % arena.keys);
                let version = job.handlings.first().map_or(job.version, |handling| handling.version);
                let what = format!("job {sequence} of worker {publisher}: {what}; {job:?}");
                defects.push(Defect::new(fault, &key, version, what));
            }
        }
    }
    Ok(accounts)
}

fn apply(jobs: &mut HashMap<(u32, u64), Vec<Job>>, worker: u64, record: Record) {
    let jobs = jobs.entry((record.queue, record.publisher)).or_default();
    let at = record.sequence as usize;
    if jobs.len() <= at {
        jobs.resize_with(at + 1, Job::default);
    }
    let job = &mut jobs[at];
    match record.event {
        Event::Intended => (job.intended, job.open) = (true, true),
        Event::Refused => job.open = false,
        Event::Published => (job.version, job.open) = (record.version, false),
        Event::Handled => {
            let Record { attempt, version, .. } = record;
            job.handlings.push(Handling { attempt, worker, version, acknowledged: false });
        }
        Event::Acknowledged => {
            let this = |handling: &&mut Handling| handling.worker == worker && handling.attempt == record.attempt;
            if let Some(handling) = job.handlings.iter_mut().rev().find(this) {
                handling.acknowledged = true;
            }
        }
    }
}

impl Accounts {
    /// Counts a job. Returns its defect, if it has one.
    fn add(&mut self, job: &Job, killed: &HashSet<u64>) -> Option<(Fault, &'static str)> {
        self.published += u64::from(job.version > 0);
        self.perhaps_published += u64::from(job.version == 0 && job.open);
        let Some((last, earlier)) = job.handlings.split_last() else {
            return (job.version > 0).then_some((Fault::LostJob, "published, but never handled"));
        };
        self.handled += 1;
        self.later_attempts += u64::from(last.attempt > 1);
        self.handled_again += u64::from(!earlier.is_empty());
        self.unacknowledged += job.handlings.iter().filter(|handling| !handling.acknowledged).count() as u64;
        if job.version == 0 && !job.open {
            return Some((
                Fault::WrongJob,
                if job.intended { "refused, but handled" } else { "handled, but never published" },
            ));
        }
        if job.handlings.iter().any(|handling| handling.version != last.version)
            || job.version > 0 && job.version != last.version
        {
            return Some((Fault::WrongJob, "handled with a different version than it was published with"));
        }
        if earlier.iter().any(|handling| handling.acknowledged || !killed.contains(&handling.worker)) {
            return Some((Fault::WrongJob, "handled again although its worker was not killed before acknowledging it"));
        }
        let pairs = job.handlings.windows(2);
        if pairs.into_iter().any(|pair| pair[0].attempt == pair[1].attempt && pair[0].attempt < u8::MAX) {
            return Some((Fault::WrongJob, "leased to two workers in the same attempt"));
        }
        if !last.acknowledged && !killed.contains(&last.worker) {
            return Some((Fault::WrongJob, "handled, but never acknowledged by its worker, which was not killed"));
        }
        None
    }
}
