//! What was done, how often it was refused, and how long it took.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::defect::Defect;

/// Kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Set,
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
    pub(crate) const ALL: [Self; 14] = [
        Self::Set,
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
            Self::Handle => "take, acknowledge job",
        }
    }
}

/// Of one kind of operations.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Nanoseconds of those that succeeded.
    pub(crate) latencies: Histogram<u64>,
    /// Backpressure: there was no cell.
    pub(crate) refused: u64,
    /// Versions that were overwritten before they were read.
    pub(crate) lagged: u64,
}

impl Tally {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds that a histogram can have");
        Self { latencies, refused: 0, lagged: 0 }
    }

    pub(crate) fn done(&self) -> u64 {
        self.latencies.len()
    }

    fn is_empty(&self) -> bool {
        self.done() + self.refused + self.lagged == 0
    }
}

/// Of all kinds.
#[derive(Debug, Clone)]
pub(crate) struct Tallies(Vec<Tally>);

impl Tallies {
    pub(crate) fn new() -> Self {
        Self(Kind::ALL.map(|_| Tally::new()).to_vec())
    }

    pub(crate) fn of(&self, kind: Kind) -> &Tally {
        &self.0[kind as usize]
    }

    /// Runs an operation, and counts it if it succeeds.
    pub(crate) fn time<T, E>(&mut self, kind: Kind, operation: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.time_if(kind, |_| true, operation)
    }

    /// As [`time`](Self::time), where something may succeed without having done anything.
    pub(crate) fn time_if<T, E>(
        &mut self,
        kind: Kind,
        has_done: impl FnOnce(&T) -> bool,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let outcome = operation();
        if outcome.as_ref().is_ok_and(has_done) {
            self.done(kind, start.elapsed());
        }
        outcome
    }

    pub(crate) fn done(&mut self, kind: Kind, took: Duration) {
        self.0[kind as usize].latencies.saturating_record((took.as_nanos() as u64).max(1));
    }

    pub(crate) fn refused(&mut self, kind: Kind) {
        self.0[kind as usize].refused += 1;
    }

    pub(crate) fn lagged(&mut self, kind: Kind, versions: u64) {
        self.0[kind as usize].lagged += versions;
    }

    /// What was counted since the last time.
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

/// What a worker has counted of one kind since it last reported.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    kind: Kind,
    latencies: Vec<(u64, u64)>,
    refused: u64,
    lagged: u64,
}

/// What a worker tells its parent every few milliseconds, so that little of it is lost when it is killed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    pub(crate) defects: Vec<Defect>,
    /// Defects that are not described any more, there being so many.
    pub(crate) more_defects: u64,
    pub(crate) phase: Phase,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Phase {
    Working,
    /// Publishes nothing any more, and holds nothing but its places to receive from.
    Quiet,
    /// Has received all there was, and holds nothing.
    Done,
}
