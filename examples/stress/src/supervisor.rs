//! Starts workers, kills and stops some of them at random, and shuts down the others at the end.

use std::collections::HashSet;
use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use splinter_bus::Store;

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::orders::Order;
use crate::random::Random;
use crate::tally::{Phase, Report, Tallies};
use crate::timer::Timer;
use crate::worker_handle::{Body, ReportSender, WorkerHandle};

/// How often workers are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// How long workers may take to follow an order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a worker is stopped, at most, in milliseconds.
const MAX_STOP_MS: usize = 50;

/// What happens to the workers.
pub(crate) struct Plan {
    pub(crate) worker_kind: WorkerKind,
    pub(crate) duration: Duration,
    /// Zero disables it.
    pub(crate) kill_every: Duration,
    /// Zero disables it.
    pub(crate) stop_every: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerKind {
    Processes,
    Threads,
}

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) tallies: Tallies,
    pub(crate) defects: Vec<Defect>,
    /// Further defects, which are only counted.
    pub(crate) more_defects: u64,
    pub(crate) elapsed: Duration,
    /// How many were started in total. They are numbered from 1.
    pub(crate) workers: u64,
    pub(crate) killed: HashSet<u64>,
    /// How many of the killed workers had a lossless subscriber.
    pub(crate) killed_subscribers: u64,
    pub(crate) stops: u64,
}

pub(crate) struct Supervisor<'a> {
    arena: &'a Arena,
    store: &'a Store,
    plan: &'a Plan,
    random: Random,
    workers: Vec<WorkerHandle>,
    sender: ReportSender,
    reports: Receiver<(u64, Report)>,
    outcome: Outcome,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(arena: &'a Arena, store: &'a Store, plan: &'a Plan) -> Self {
        let (sender, reports) = mpsc::channel();
        let outcome = Outcome {
            tallies: Tallies::new(),
            defects: Vec::new(),
            more_defects: 0,
            elapsed: Duration::ZERO,
            workers: 0,
            killed: HashSet::new(),
            killed_subscribers: 0,
            stops: 0,
        };
        let (random, workers) = (Random::new(arena.seed), Vec::new());
        Self { arena, store, plan, random, workers, sender, reports, outcome }
    }

    pub(crate) fn run(mut self) -> Result<Outcome, Box<dyn Error>> {
        for _ in 0..self.arena.workers {
            let worker = self.start()?;
            self.workers.push(worker);
        }
        let start = Instant::now();
        let (mut kills, mut stops) = (Timer::new(self.plan.kill_every), Timer::new(self.plan.stop_every));
        while start.elapsed() < self.plan.duration && !self.has_unexpected_end() {
            let now = Instant::now();
            if kills.is_due(now) {
                self.kill_one()?;
            }
            if stops.is_due(now) {
                self.stop_one()?;
            }
            self.resume_stopped(now)?;
            self.receive_reports(CHECK_INTERVAL.min(kills.time_left()).min(stops.time_left()));
        }
        self.outcome.elapsed = start.elapsed();
        self.end()?;
        Ok(self.outcome)
    }

    fn start(&mut self) -> Result<WorkerHandle, Box<dyn Error>> {
        self.outcome.workers += 1;
        let number = self.outcome.workers;
        let reports = self.sender.clone();
        match self.plan.worker_kind {
            WorkerKind::Processes => WorkerHandle::start_process(number, self.arena, reports),
            WorkerKind::Threads => WorkerHandle::start_thread(number, self.arena, self.store, reports),
        }
    }

    /// Waits up to `timeout` for a report, and processes all that have arrived.
    fn receive_reports(&mut self, timeout: Duration) {
        // The channel is never closed, because this process holds a sender, too.
        let mut report = self.reports.recv_timeout(timeout).ok();
        while let Some((number, Report { lines, defects, more_defects, phase })) = report {
            lines.iter().for_each(|line| self.outcome.tallies.add(line));
            self.outcome.defects.extend(defects);
            self.outcome.more_defects += more_defects;
            if let Some(worker) = self.workers.iter_mut().find(|worker| worker.number == number) {
                worker.phase = phase;
            }
            report = self.reports.try_recv().ok();
        }
    }

    fn kill_one(&mut self) -> Result<(), Box<dyn Error>> {
        let victim = self.random.below(self.workers.len());
        let Body::Process { child, .. } = &mut self.workers[victim].body else { return Ok(()) };
        let pid = child.id();
        child.kill()?;
        let status = child.wait()?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            // It ended before it was killed.
            self.report_end(self.workers[victim].number, &status.to_string());
        }
        let was_subscribed = |key| {
            let snapshot = self.store.slot_snapshot(&self.arena.name(Sort::Log, key)).ok().flatten();
            snapshot.is_some_and(|snapshot| snapshot.lossless.iter().any(|cursor| cursor.pid == pid))
        };
        self.outcome.killed_subscribers += u64::from((0..self.arena.keys).any(was_subscribed));
        self.outcome.killed.insert(self.workers[victim].number);
        self.workers[victim] = self.start()?;
        Ok(())
    }

    fn stop_one(&mut self) -> Result<(), Box<dyn Error>> {
        let victim = self.random.below(self.workers.len());
        let pause = Duration::from_millis(1 + self.random.below(MAX_STOP_MS) as u64);
        let worker = &mut self.workers[victim];
        if let (Body::Process { child, .. }, None) = (&worker.body, worker.stopped_until) {
            kill_process(Pid::from_child(child), Signal::STOP)?;
            worker.stopped_until = Some(Instant::now() + pause);
            self.outcome.stops += 1;
        }
        Ok(())
    }

    /// Resumes the workers whose stop is over.
    fn resume_stopped(&mut self, now: Instant) -> Result<(), Box<dyn Error>> {
        for worker in &mut self.workers {
            if let Body::Process { child, .. } = &worker.body
                && worker.stopped_until.is_some_and(|until| until <= now)
            {
                kill_process(Pid::from_child(child), Signal::CONT)?;
                worker.stopped_until = None;
            }
        }
        Ok(())
    }

    /// Whether a worker has ended that was not killed. This is a defect.
    fn has_unexpected_end(&mut self) -> bool {
        let ended = self.workers.iter_mut().find_map(|worker| Some((worker.number, worker.ended()?)));
        if let Some((number, how)) = &ended {
            self.report_end(*number, how);
        }
        ended.is_some()
    }

    fn report_end(&mut self, number: u64, how: &str) {
        self.outcome.defects.push(Defect::new(Fault::Died, "", 0, format!("worker {number}: {how}")));
    }

    fn end(&mut self) -> Result<(), Box<dyn Error>> {
        self.resume_stopped(Instant::now() + ORDER_TIMEOUT)?;
        self.order(Order::Quiet);
        self.wait_for(Phase::Quiet);
        self.order(Order::Finish);
        self.wait_for(Phase::Done);
        for mut worker in std::mem::take(&mut self.workers) {
            if let Err(how) = worker.join() {
                self.report_end(worker.number, &how);
            }
        }
        self.receive_reports(Duration::ZERO);
        Ok(())
    }

    fn order(&mut self, order: Order) {
        self.workers.iter_mut().for_each(|worker| worker.order(order));
    }

    fn wait_for(&mut self, phase: Phase) {
        let start = Instant::now();
        while self.workers.iter_mut().any(|worker| worker.phase < phase && worker.ended().is_none()) {
            if start.elapsed() > ORDER_TIMEOUT {
                let late = self.workers.iter().filter(|worker| worker.phase < phase);
                let late: Vec<_> = late.map(|worker| worker.number).collect();
                let what = format!("workers {late:?} have not reached phase {phase:?} after {ORDER_TIMEOUT:?}");
                self.outcome.defects.push(Defect::new(Fault::Failed, "", 0, what));
                return;
            }
            self.receive_reports(CHECK_INTERVAL);
        }
    }
}
