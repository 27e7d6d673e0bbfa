//! What a worker has to tell, and where it goes.

use std::io::{self, Write};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::defect::Defect;
use crate::tally::{Phase, Report, Tallies};

/// How much of what a worker did may be lost when it is killed.
const INTERVAL: Duration = Duration::from_millis(40);
/// More defects than this are counted and not described.
const DESCRIBED: usize = 10;

pub(crate) enum Sink {
    /// To the parent of this process, a line each.
    Stdout,
    /// To the parent of this thread.
    Channel { worker: u64, events: Sender<(u64, Report)> },
}

pub(crate) struct Recorder {
    sink: Sink,
    pub(crate) tallies: Tallies,
    defects: Vec<Defect>,
    described: usize,
    more_defects: u64,
    reported: Instant,
    phase: Phase,
}

impl Recorder {
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            sink,
            tallies: Tallies::new(),
            defects: Vec::new(),
            described: 0,
            more_defects: 0,
            reported: Instant::now(),
            phase: Phase::Working,
        }
    }

    pub(crate) fn defect(&mut self, defect: Defect) {
        if self.described == DESCRIBED {
            self.more_defects += 1;
            return;
        }
        self.described += 1;
        self.defects.push(defect);
        // At once: whoever finds one may be killed over it.
        self.report();
    }

    /// Keeps the defect, if there is one.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, Defect>) -> Option<T> {
        outcome.map_err(|defect| self.defect(defect)).ok()
    }

    pub(crate) fn report_in_time(&mut self) {
        if self.reported.elapsed() >= INTERVAL {
            self.report();
        }
    }

    /// Says how far this worker is from now on.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.report();
    }

    fn report(&mut self) {
        let report = Report {
            lines: self.tallies.take(),
            defects: std::mem::take(&mut self.defects),
            more_defects: std::mem::take(&mut self.more_defects),
            phase: self.phase,
        };
        self.reported = Instant::now();
        // If nobody listens any more, the parent is gone, and this worker is about to be.
        let _ = self.sink.send(report);
    }
}

impl Sink {
    fn send(&self, report: Report) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut line = serde_json::to_vec(&report)?;
                line.push(b'\n');
                let mut out = io::stdout().lock();
                out.write_all(&line)?;
                out.flush()
            }
            Self::Channel { worker, events } => {
                events.send((*worker, report)).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}
