//! The summary at the end of a run, as text or as JSON.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::arena::Arena;
use crate::defect::Fault;
use crate::supervisor::Outcome;
use crate::tally::{Kind, Tally};

/// How many defects are described.
const MAX_DESCRIBED: usize = 10;

pub(crate) struct Summary<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) outcome: &'a Outcome,
    pub(crate) accounts: &'a Accounts,
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

impl Summary<'_> {
    pub(crate) fn has_passed(&self) -> bool {
        self.outcome.defects.is_empty() && self.outcome.more_defects == 0
    }

    fn kinds(&self) -> impl Iterator<Item = (Kind, &Tally)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.outcome.tallies.of(kind)))
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.outcome.elapsed.as_secs_f64()
    }

    fn faults(&self) -> impl Iterator<Item = (Fault, usize)> {
        let mut counts = HashMap::new();
        for defect in &self.outcome.defects {
            *counts.entry(defect.fault).or_insert(0) += 1;
        }
        Fault::ALL.into_iter().map(move |fault| (fault, counts.get(&fault).copied().unwrap_or(0)))
    }

    pub(crate) fn json(&self) -> Value {
        let Self { arena, outcome, accounts } = self;
        let operations: serde_json::Map<_, _> = self
            .kinds()
            .map(|(kind, tally)| {
                let mut row = json!({
                    "done": tally.done(), "per_second": self.per_second(tally.done()),
                    "backpressure": tally.refused, "lagged": tally.lagged,
                });
                for (name, quantile) in QUANTILES {
                    row[format!("{name}_ns")] = tally.latencies.value_at_quantile(quantile).into();
                }
                (kind.name().to_owned(), row)
            })
            .collect();
        let faults: serde_json::Map<_, _> =
            self.faults().map(|(fault, count)| (fault.name().to_owned(), count.into())).collect();
        let described: Vec<_> = outcome.defects.iter().take(MAX_DESCRIBED).map(ToString::to_string).collect();
        json!({
            "store": arena.location.to_string(), "seconds": outcome.elapsed.as_secs_f64(), "seed": arena.seed,
            "workers": outcome.workers, "kills": outcome.killed.len(), "stops": outcome.stops,
            "killed_with_lossless_subscriber": outcome.killed_subscribers,
            "killed_in_publishing_a_job": accounts.perhaps_published,
            "killed_in_acknowledging_a_job": accounts.unacknowledged,
            "jobs": {
                "published": accounts.published, "handled": accounts.handled, "handled_again": accounts.handled_again,
                "in_later_attempts": accounts.later_attempts,
            },
            "operations": operations, "defects": faults, "defects_not_described": outcome.more_defects,
            "first_defects": described, "passed": self.has_passed(),
        })
    }

    pub(crate) fn print(&self) {
        let Self { arena, outcome, accounts } = self;
        println!(
            "{}: {} concurrent workers, {} in total, {:.1} s, seed {}",
            arena.location,
            arena.workers,
            outcome.workers,
            outcome.elapsed.as_secs_f64(),
            arena.seed
        );
        println!(
            "{} kills: {} with a lossless subscriber, {} while publishing a job, {} between handling and \
             acknowledging a job; {} stops",
            outcome.killed.len(),
            outcome.killed_subscribers,
            accounts.perhaps_published,
            accounts.unacknowledged,
            outcome.stops
        );
        println!(
            "{:<24} {:>12} {:>11} {:>9} {:>9} {:>9} {:>9} {:>12} {:>10}",
            "", "done", "per second", "p50", "p99", "p99.9", "max", "backpressure", "lagged"
        );
        for (kind, tally) in self.kinds() {
            let [p50, p99, p999, max] =
                QUANTILES.map(|(_, quantile)| microseconds(tally.latencies.value_at_quantile(quantile)));
            println!(
                "{:<24} {:>12} {:>11.0} {p50:>9} {p99:>9} {p999:>9} {max:>9} {:>12} {:>10}",
                kind.name(),
                tally.done(),
                self.per_second(tally.done()),
                tally.refused,
                tally.lagged
            );
        }
        println!("latencies in microseconds; torn copies that readers detected and retried are not counted");
        let Accounts { published, handled, handled_again, later_attempts, .. } = accounts;
        println!(
            "jobs: {published} published, {handled} handled; {later_attempts} in a later attempt, {handled_again} \
             again because of a kill"
        );
        for (fault, count) in self.faults() {
            println!("{:<34} {count}", fault.name());
        }
        for defect in outcome.defects.iter().take(MAX_DESCRIBED) {
            println!("DEFECT {defect}");
        }
        let more = outcome.defects.len().saturating_sub(MAX_DESCRIBED) as u64 + outcome.more_defects;
        if more > 0 {
            println!("and {more} more");
        }
        println!("{}", if self.has_passed() { "passed" } else { "FAILED" });
    }
}

fn microseconds(nanos: u64) -> String {
    let micros = nanos as f64 / 1000.0;
    if micros < 100.0 { format!("{micros:.2}") } else { format!("{micros:.0}") }
}
