//! Collects the counts and defects of a worker, and sends them to the supervisor.

use std::io::{self, Write};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::defect::Defect;
use crate::tally::{Phase, Report, Tallies};

/// How often a worker reports. The counts since its last report are lost when it is killed.
const INTERVAL: Duration = Duration::from_millis(40);
/// How many defects are described. Further ones are only counted.
const MAX_DESCRIBED: usize = 10;

pub(crate) enum Sink {
    /// To the parent process, one line per report.
    Stdout,
    /// To the supervisor in the same process.
    Channel { worker: u64, reports: Sender<(u64, Report)> },
}

pub(crate) struct Recorder {
    sink: Sink,
    pub(crate) tallies: Tallies,
    defects: Vec<Defect>,
    described: usize,
    more_defects: u64,
    last_report: Instant,
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
            last_report: Instant::now(),
            phase: Phase::Working,
        }
    }

    pub(crate) fn defect(&mut self, defect: Defect) {
        if self.described == MAX_DESCRIBED {
            self.more_defects += 1;
            return;
        }
        self.described += 1;
        self.defects.push(defect);
        // Reported at once, because this worker may be killed before its next report.
        self.report();
    }

    /// Records the defect of a failed operation.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, Defect>) -> Option<T> {
        outcome.map_err(|defect| self.defect(defect)).ok()
    }

    /// Reports if the last report is older than the interval.
    pub(crate) fn report_if_due(&mut self) {
        if self.last_report.elapsed() >= INTERVAL {
            self.report();
        }
    }

    /// Reports that this worker has reached a phase.
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
        self.last_report = Instant::now();
        // Sending fails only if the supervisor has ended. Then this worker ends, too.
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
            Self::Channel { worker, reports } => {
                reports.send((*worker, report)).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}
