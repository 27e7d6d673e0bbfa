//! The results of all measurements, and how they are printed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::figure::Figure;
use crate::system::{Setup, System};
use crate::workload::Workload;

/// The key of a result: a cell of the printed tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) size: usize,
    pub(crate) system: System,
}

/// All repetitions of a measurement with one set-up of a system.
#[derive(Debug)]
struct Repetitions {
    setup: Setup,
    figures: Vec<Vec<Figure>>,
    /// Why a repetition has no figures.
    missing: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    cells: BTreeMap<Cell, Vec<Repetitions>>,
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    workload: String,
    system: &'a str,
    size: usize,
    metric: &'a str,
    value: f64,
    unit: &'a str,
}

/// Whether larger values of a metric are better.
fn more_is_better(metric: &str) -> bool {
    matches!(metric, "reads" | "writes")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Results {
    pub(crate) fn add(&mut self, cell: Cell, setup: Setup, outcome: Result<Vec<Figure>, String>) {
        let setups = self.cells.entry(cell).or_default();
        let at = setups.iter().position(|repetitions| repetitions.setup == setup).unwrap_or_else(|| {
            setups.push(Repetitions { setup, figures: Vec::new(), missing: None });
            setups.len() - 1
        });
        match outcome {
            Ok(figures) => setups[at].figures.push(figures),
            Err(reason) => setups[at].missing = Some(reason),
        }
    }

    /// Returns the medians of the best set-up of a system.
    ///
    /// A set-up that failed in any repetition is ignored.
    pub(crate) fn figures(&self, cell: Cell) -> Vec<Figure> {
        let medians = |repetitions: &Repetitions| -> Vec<Figure> {
            let Some(first) = repetitions.figures.first().filter(|_| repetitions.missing.is_none()) else {
                return Vec::new();
            };
            let values = |at: usize| repetitions.figures.iter().map(|figures| figures[at].value).collect();
            first
                .iter()
                .enumerate()
                .map(|(at, figure)| Figure { value: median(values(at)), ..figure.clone() })
                .collect()
        };
        let setups = self.cells.get(&cell).into_iter().flatten().map(medians).filter(|figures| !figures.is_empty());
        let cost = |figures: &Vec<Figure>| {
            if more_is_better(&figures[0].metric) { -figures[0].value } else { figures[0].value }
        };
        setups.min_by(|one, other| cost(one).total_cmp(&cost(other))).unwrap_or_default()
    }

    pub(crate) fn figure(&self, cell: Cell, metric: &str) -> Option<f64> {
        self.figures(cell).into_iter().find(|figure| figure.metric == metric).map(|figure| figure.value)
    }

    pub(crate) fn rows(&self) -> Vec<(Workload, usize)> {
        let mut rows: Vec<_> = self.cells.keys().map(|cell| (cell.workload, cell.size)).collect();
        rows.dedup();
        rows
    }

    pub(crate) fn systems(&self, workload: Workload) -> Vec<System> {
        let mut systems: Vec<_> =
            self.cells.keys().filter(|cell| cell.workload == workload).map(|cell| cell.system).collect();
        systems.sort();
        systems.dedup();
        systems
    }

    pub(crate) fn print_json(&self) {
        for &cell in self.cells.keys() {
            for Figure { metric, value, unit } in &self.figures(cell) {
                let line = Line {
                    workload: cell.workload.name(),
                    system: cell.system.name(),
                    size: cell.size,
                    metric,
                    value: *value,
                    unit,
                };
                println!("{}", serde_json::to_string(&line).expect("a line has only strings and numbers"));
            }
        }
    }

    pub(crate) fn print_tables(&self) {
        let mut workloads: Vec<_> = self.rows().into_iter().map(|(workload, _)| workload).collect();
        workloads.dedup();
        for workload in workloads {
            self.print_table(workload);
        }
    }

    fn print_table(&self, workload: Workload) {
        let systems = self.systems(workload);
        println!("\n{}", workload.name());
        print!("{:>9} {:<12}", "size", "");
        systems.iter().for_each(|system| print!("{:>14}", system.name()));
        println!("{:>14}", "ours / best");
        for (_, size) in self.rows().into_iter().filter(|(of, _)| *of == workload) {
            for metric in self.metrics(workload, size) {
                print!("{size:>9} {metric:<12}");
                let value = |system| self.figure(Cell { workload, size, system }, &metric);
                for &system in &systems {
                    print!(
                        "{:>14}",
                        value(system).map_or_else(|| "-".to_owned(), |value| format_value(&metric, value))
                    );
                }
                println!(
                    "{:>14}",
                    self.ratio(workload, size, &metric).map_or_else(String::new, |ratio| format!("{ratio:.2}"))
                );
            }
        }
        for (system, reason) in self.missing(workload) {
            println!("  {}: {reason}", system.name());
        }
    }

    fn metrics(&self, workload: Workload, size: usize) -> Vec<String> {
        let mut metrics = Vec::new();
        for system in self.systems(workload) {
            for figure in self.figures(Cell { workload, size, system }) {
                if !metrics.contains(&figure.metric) {
                    metrics.push(figure.metric);
                }
            }
        }
        metrics
    }

    /// Returns the ratio of splinter-bus to the best peer.
    pub(crate) fn ratio(&self, workload: Workload, size: usize, metric: &str) -> Option<f64> {
        let value = |system| self.figure(Cell { workload, size, system }, metric);
        let is_peer = |system: &System| !matches!(system, System::SplinterBus | System::Bare);
        let peers = self.systems(workload).into_iter().filter(is_peer).filter_map(value);
        let best = if more_is_better(metric) { peers.max_by(f64::total_cmp)? } else { peers.min_by(f64::total_cmp)? };
        (best > 0.0).then_some(value(System::SplinterBus)? / best)
    }

    /// Returns the systems without figures, and the reasons.
    fn missing(&self, workload: Workload) -> Vec<(System, String)> {
        let mut missing = Vec::new();
        for (cell, setups) in self.cells.iter().filter(|(cell, _)| cell.workload == workload) {
            if !self.figures(*cell).is_empty() {
                continue;
            }
            for reason in setups.iter().filter_map(|repetitions| repetitions.missing.clone()) {
                let entry = (cell.system, reason);
                if !missing.contains(&entry) {
                    missing.push(entry);
                }
            }
        }
        missing
    }
}

fn format_value(metric: &str, value: f64) -> String {
    let scaled = |value: f64, units: &[&str]| {
        let mut value = value;
        let mut unit = 0;
        while value >= 1000.0 && unit + 1 < units.len() {
            value /= 1000.0;
            unit += 1;
        }
        format!("{value:.1} {}", units[unit])
    };
    match metric {
        "reads" | "writes" => scaled(value, &["/s", "k/s", "M/s", "G/s"]),
        "bytes" => scaled(value, &["B", "kB", "MB", "GB"]),
        "descriptors" => format!("{value}"),
        _ => scaled(value, &["ns", "us", "ms", "s"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(system: System) -> Cell {
        Cell { workload: Workload::Roundtrip, size: 64, system }
    }

    fn repetition(value: f64) -> Result<Vec<Figure>, String> {
        Ok(vec![Figure::new("p50", value, "ns")])
    }

    #[test]
    fn the_median_of_the_best_set_up_is_reported_and_a_failed_set_up_is_ignored() {
        let mut results = Results::default();
        for value in [30.0, 10.0, 20.0] {
            results.add(cell(System::SplinterBus), Setup::SplinterBus, repetition(value));
            results.add(cell(System::Crossbar), Setup::CrossbarBlocks, repetition(40.0));
            results.add(cell(System::Crossbar), Setup::CrossbarPinned, repetition(5.0));
        }
        results.add(cell(System::Crossbar), Setup::CrossbarPinned, Err("failed".to_owned()));
        assert_eq!(results.figure(cell(System::SplinterBus), "p50"), Some(20.0));
        assert_eq!(results.figure(cell(System::Crossbar), "p50"), Some(40.0));
        assert_eq!(results.ratio(Workload::Roundtrip, 64, "p50"), Some(0.5));
    }

    #[test]
    fn an_unsupported_measurement_has_a_reason_and_no_figure() {
        let mut results = Results::default();
        results.add(cell(System::UnixSocket), Setup::UnixSocket, Err("has no keys".to_owned()));
        assert_eq!(results.figure(cell(System::UnixSocket), "p50"), None);
        assert_eq!(results.missing(Workload::Roundtrip), [(System::UnixSocket, "has no keys".to_owned())]);
    }

    #[test]
    fn the_field_names_of_a_json_line_are_stable() {
        let line = Line {
            workload: Workload::MrswManyKeys.name(),
            system: "redis",
            size: 64,
            metric: "reads",
            value: 1.5,
            unit: "/s",
        };
        let expected =
            r#"{"workload":"mrsw-1000","system":"redis","size":64,"metric":"reads","value":1.5,"unit":"/s"}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), expected);
    }
}
