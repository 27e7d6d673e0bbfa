//! Counts and latencies of operations.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::defect::Defect;

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Set,
    SetIf,
    Loan,
    Get,
    GetVersion,
    Pin,
    PinVersion,
    Publish,
    PublishLoan,
    Follow,
    Subscribe,
    Receive,
    ReceiveSample,
    Enqueue,
    Handle,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::Set,
        Self::SetIf,
        Self::Loan,
        Self::Get,
        Self::GetVersion,
        Self::Pin,
        Self::PinVersion,
        Self::Publish,
        Self::PublishLoan,
        Self::Follow,
        Self::Subscribe,
        Self::Receive,
        Self::ReceiveSample,
        Self::Enqueue,
        Self::Handle,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::SetIf => "set if version",
            Self::Loan => "set by loan",
            Self::Get => "get newest",
            Self::GetVersion => "get version",
            Self::Pin => "pin newest",
            Self::PinVersion => "pin version",
            Self::Publish => "publish",
            Self::PublishLoan => "publish by loan",
            Self::Follow => "receive, may lag",
            Self::Subscribe => "subscribe lossless",
            Self::Receive => "receive lossless",
            Self::ReceiveSample => "receive lossless sample",
            Self::Enqueue => "publish job",
            Self::Handle => "receive, acknowledge job",
        }
    }
}

/// The counts of one kind of operation.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Latencies of successful operations in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Operations that failed with backpressure, because no cell was free.
    pub(crate) refused: u64,
    /// Versions that were overwritten before they were read.
    pub(crate) lagged: u64,
}

impl Tally {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are valid");
        Self { latencies, refused: 0, lagged: 0 }
    }

    pub(crate) fn done(&self) -> u64 {
        self.latencies.len()
    }

    fn is_empty(&self) -> bool {
        self.done() + self.refused + self.lagged == 0
    }
}

/// The counts of all kinds of operations.
#[derive(Debug, Clone)]
pub(crate) struct Tallies(Vec<Tally>);

impl Tallies {
    pub(crate) fn new() -> Self {
        Self(Kind::ALL.map(|_| Tally::new()).to_vec())
    }

    pub(crate) fn of(&self, kind: Kind) -> &Tally {
        &self.0[kind as usize]
    }

    /// Runs an operation, and records its latency if it succeeds.
    pub(crate) fn time<T, E>(&mut self, kind: Kind, operation: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.time_if(kind, |_| true, operation)
    }

    /// Like [`time`](Self::time), for operations that may succeed without doing anything.
    pub(crate) fn time_if<T, E>(
        &mut self,
        kind: Kind,
        is_done: impl FnOnce(&T) -> bool,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let outcome = operation();
        if outcome.as_ref().is_ok_and(is_done) {
            self.done(kind, start.elapsed());
        }
        outcome
    }

    pub(crate) fn done(&mut self, kind: Kind, latency: Duration) {
        self.0[kind as usize].latencies.saturating_record((latency.as_nanos() as u64).max(1));
    }

    pub(crate) fn refused(&mut self, kind: Kind) {
        self.0[kind as usize].refused += 1;
    }

    pub(crate) fn lagged(&mut self, kind: Kind, versions: u64) {
        self.0[kind as usize].lagged += versions;
    }

    /// Returns the counts since the last call, and resets them.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        let filled = Kind::ALL.into_iter().zip(&mut self.0).filter(|(_, tally)| !tally.is_empty());
        filled
            .map(|(kind, tally)| {
                let latencies =
                    tally.latencies.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
                let latencies = latencies.collect();
                let line = Line { kind, latencies, refused: tally.refused, lagged: tally.lagged };
                tally.latencies.reset();
                (tally.refused, tally.lagged) = (0, 0);
                line
            })
            .collect()
    }

    pub(crate) fn add(&mut self, line: &Line) {
        let tally = &mut self.0[line.kind as usize];
        for &(value, count) in &line.latencies {
            tally.latencies.saturating_record_n(value, count);
        }
        tally.refused += line.refused;
        tally.lagged += line.lagged;
    }
}

/// The counts of one kind since the last report of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    kind: Kind,
    latencies: Vec<(u64, u64)>,
    refused: u64,
    lagged: u64,
}

/// A report of a worker. It is sent often, so that a kill loses little.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    pub(crate) defects: Vec<Defect>,
    /// Further defects, which are only counted.
    pub(crate) more_defects: u64,
    pub(crate) phase: Phase,
}

/// The progress of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Phase {
    Working,
    /// It has stopped publishing, and holds only its subscribers and queues.
    Quiet,
    /// It has received everything, and holds nothing.
    Done,
}
