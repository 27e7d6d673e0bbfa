//! Starting workers, killing and stopping them at random, and bringing those who are left to an orderly end.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};
use splinter_bus::Store;

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::orders::{Order, Orders};
use crate::random::Random;
use crate::recorder::{Recorder, Sink};
use crate::tally::{Phase, Report, Tallies};
use crate::worker;

/// How often workers are looked after.
const LOOK_AROUND: Duration = Duration::from_millis(5);
/// How long workers have to do as they are told.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker stands still, at most.
const LONGEST_STOP: usize = 50;

/// How the workers are to be treated.
pub(crate) struct Regime {
    pub(crate) how: How,
    pub(crate) duration: Duration,
    /// Zero: never.
    pub(crate) kill_every: Duration,
    pub(crate) stop_every: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Processes,
    Threads,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) tallies: Tallies,
    pub(crate) defects: Vec<Defect>,
    /// Found, and not described.
    pub(crate) more_defects: u64,
    pub(crate) took: Duration,
    /// How many there were, one after another: they are numbered from 1.
    pub(crate) workers: u64,
    pub(crate) killed: HashSet<u64>,
    /// How many of the killed were to receive something without loss.
    pub(crate) killed_subscribers: u64,
    pub(crate) stops: u64,
}

pub(crate) struct Supervisor<'a> {
    arena: &'a Arena,
    store: &'a Store,
    regime: &'a Regime,
    random: Random,
    workers: Vec<Worker>,
    sender: Sender<(u64, Report)>,
    reports: Receiver<(u64, Report)>,
    outcome: Outcome,
}

struct Worker {
    number: u64,
    phase: Phase,
    body: Body,
    /// When it is to go on.
    stopped_until: Option<Instant>,
}

enum Body {
    Process { child: Child, orders: ChildStdin, reader: Option<JoinHandle<()>> },
    Thread { orders: Orders, handle: Option<JoinHandle<Result<(), String>>> },
}

/// Times at which something is to happen.
struct Ticks {
    every: Duration,
    next: Instant,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(arena: &'a Arena, store: &'a Store, regime: &'a Regime) -> Self {
        let (sender, reports) = mpsc::channel();
        let outcome = Outcome {
            tallies: Tallies::new(),
            defects: Vec::new(),
            more_defects: 0,
            took: Duration::ZERO,
            workers: 0,
            killed: HashSet::new(),
            killed_subscribers: 0,
            stops: 0,
        };
        let (random, workers) = (Random::new(arena.seed), Vec::new());
        Self { arena, store, regime, random, workers, sender, reports, outcome }
    }

    pub(crate) fn run(mut self) -> Result<Outcome, Box<dyn Error>> {
        for _ in 0..self.arena.workers {
            let worker = self.start()?;
            self.workers.push(worker);
        }
        let start = Instant::now();
        let (mut kills, mut stops) = (Ticks::new(self.regime.kill_every), Ticks::new(self.regime.stop_every));
        while start.elapsed() < self.regime.duration && !self.somebody_died() {
            let now = Instant::now();
            if kills.are_due(now) {
                self.kill_one()?;
            }
            if stops.are_due(now) {
                self.stop_one()?;
            }
            self.let_go_on(now)?;
            self.listen(LOOK_AROUND.min(kills.left()).min(stops.left()));
        }
        self.outcome.took = start.elapsed();
        self.end()?;
        Ok(self.outcome)
    }

    fn start(&mut self) -> Result<Worker, Box<dyn Error>> {
        self.outcome.workers += 1;
        let number = self.outcome.workers;
        let body = match self.regime.how {
            How::Processes => self.start_process(number)?,
            How::Threads => self.start_thread(number)?,
        };
        Ok(Worker { number, phase: Phase::Working, body, stopped_until: None })
    }

    fn start_process(&self, number: u64) -> Result<Body, Box<dyn Error>> {
        let mut command = own_role("worker", self.arena, number)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().ok_or("a worker without standard input")?;
        let out = child.stdout.take().ok_or("a worker without standard output")?;
        let sender = self.sender.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // The last line of one that is killed may be half a line.
                if let Ok(report) = serde_json::from_str(&line) {
                    let _ = sender.send((number, report));
                }
            }
        });
        Ok(Body::Process { child, orders, reader: Some(reader) })
    }

    /// Half of the threads share a handle, the others have one each.
    fn start_thread(&self, number: u64) -> Result<Body, Box<dyn Error>> {
        let store = if number.is_multiple_of(2) { self.store.clone() } else { self.arena.open()? };
        let (arena, orders) = (self.arena.clone(), Orders::new());
        let (given, events) = (orders.clone(), self.sender.clone());
        let handle = thread::Builder::new().name(format!("worker {number}")).spawn(move || {
            let mut record = Recorder::new(Sink::Channel { worker: number, events });
            worker::run(&arena, &store, number, &given, &mut record).map_err(|error| error.to_string())
        })?;
        Ok(Body::Thread { orders, handle: Some(handle) })
    }

    /// Takes in what workers report, for as long as `patience` at most.
    fn listen(&mut self, patience: Duration) {
        // None in that time, or none ever: the same to us.
        let mut report = self.reports.recv_timeout(patience).ok();
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
            // Before we came: nothing of it is excused.
            self.died(self.workers[victim].number, &status.to_string());
        }
        let held = |key| {
            let snapshot = self.store.slot_snapshot(&self.arena.name(Sort::Log, key)).ok().flatten();
            snapshot.is_some_and(|snapshot| snapshot.lossless.iter().any(|cursor| cursor.pid == pid))
        };
        self.outcome.killed_subscribers += u64::from((0..self.arena.keys).any(held));
        self.outcome.killed.insert(self.workers[victim].number);
        self.workers[victim] = self.start()?;
        Ok(())
    }

    fn stop_one(&mut self) -> Result<(), Box<dyn Error>> {
        let victim = self.random.below(self.workers.len());
        let rest = Duration::from_millis(1 + self.random.below(LONGEST_STOP) as u64);
        let worker = &mut self.workers[victim];
        if let (Body::Process { child, .. }, None) = (&worker.body, worker.stopped_until) {
            kill_process(Pid::from_child(child), Signal::STOP)?;
            worker.stopped_until = Some(Instant::now() + rest);
            self.outcome.stops += 1;
        }
        Ok(())
    }

    /// Has those go on who have stood still for long enough.
    fn let_go_on(&mut self, now: Instant) -> Result<(), Box<dyn Error>> {
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

    /// Whether one has ended by itself, which none does.
    fn somebody_died(&mut self) -> bool {
        let died = self.workers.iter_mut().find_map(|worker| Some((worker.number, worker.ended()?)));
        if let Some((number, how)) = &died {
            self.died(*number, how);
        }
        died.is_some()
    }

    fn died(&mut self, number: u64, how: &str) {
        self.outcome.defects.push(Defect::new(Fault::Died, "", 0, format!("worker {number}: {how}")));
    }

    fn end(&mut self) -> Result<(), Box<dyn Error>> {
        self.let_go_on(Instant::now() + PATIENCE)?;
        self.order(Order::Quiet);
        self.wait_for(Phase::Quiet);
        self.order(Order::Finish);
        self.wait_for(Phase::Done);
        for mut worker in std::mem::take(&mut self.workers) {
            if let Err(how) = worker.join() {
                self.died(worker.number, &how);
            }
        }
        self.listen(Duration::ZERO);
        Ok(())
    }

    fn order(&mut self, order: Order) {
        for worker in &mut self.workers {
            match &mut worker.body {
                // One that is not there any more is told of later.
                Body::Process { orders, .. } => drop(orders.write_all(order.line().as_bytes())),
                Body::Thread { orders, .. } => orders.give(order),
            }
        }
    }

    fn wait_for(&mut self, phase: Phase) {
        let start = Instant::now();
        while self.workers.iter_mut().any(|worker| worker.phase < phase && worker.ended().is_none()) {
            if start.elapsed() > PATIENCE {
                let late = self.workers.iter().filter(|worker| worker.phase < phase);
                let late: Vec<_> = late.map(|worker| worker.number).collect();
                let what = format!("workers {late:?} are not {phase:?} after {PATIENCE:?}");
                self.outcome.defects.push(Defect::new(Fault::Failed, "", 0, what));
                return;
            }
            self.listen(LOOK_AROUND);
        }
    }
}

impl Worker {
    /// How it has ended, if it has.
    fn ended(&mut self) -> Option<String> {
        match &mut self.body {
            Body::Process { child, .. } => match child.try_wait() {
                Ok(status) => status.map(|status| status.to_string()),
                Err(error) => Some(error.to_string()),
            },
            Body::Thread { handle, .. } => {
                handle.as_ref().is_none_or(JoinHandle::is_finished).then(|| "its thread ended".to_owned())
            }
        }
    }

    /// Waits for its end, which is to be in success.
    fn join(&mut self) -> Result<(), String> {
        if self.phase < Phase::Done
            && let Body::Process { child, .. } = &mut self.body
        {
            // It has not come to an end by itself.
            let _ = child.kill();
        }
        match &mut self.body {
            Body::Process { child, reader, .. } => {
                let status = child.wait().map_err(|error| error.to_string())?;
                reader.take().map(JoinHandle::join);
                if status.success() { Ok(()) } else { Err(status.to_string()) }
            }
            Body::Thread { handle, .. } => match handle.take().map(JoinHandle::join) {
                Some(Ok(ended)) => ended,
                Some(Err(_)) => Err("it panicked".to_owned()),
                None => Ok(()),
            },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Body::Process { child, reader, .. } = &mut self.body {
            let _ = child.kill();
            let _ = child.wait();
            reader.take().map(JoinHandle::join);
        }
    }
}

impl Ticks {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    fn are_due(&mut self, now: Instant) -> bool {
        let due = !self.every.is_zero() && self.next <= now;
        if due {
            // From now on: what took long is not made up for.
            self.next = now + self.every;
        }
        due
    }

    fn left(&self) -> Duration {
        if self.every.is_zero() { Duration::MAX } else { self.next.saturating_duration_since(Instant::now()) }
    }
}

/// This program once more, as something else.
pub(crate) fn own_role(role: &str, arena: &Arena, number: u64) -> Result<Command, Box<dyn Error>> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    // What we were told, and then what we add.
    command.args(env::args_os().skip(1)).args(["--role", role, "--number", &number.to_string()]);
    command.arg("--store").arg(arena.location.to_string()).arg("--directory").arg(&arena.directory);
    Ok(command)
}
