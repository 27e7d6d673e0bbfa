//! Measures splinter-bus and its peers side by side.
//!
//! ```text
//! # Everything: less than ten minutes on two cores.
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! # Fewer and shorter repetitions: less than one minute.
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick
//! ```
//!
//! `--workload` and `--system` select (`--help` lists the names), `--json` prints one figure per
//! line, `--plots DIR` draws charts. libsplinter needs libclang and a C compiler to build;
//! `--no-default-features` leaves it out. Redis is measured if `redis-server` is installed.
//!
//! Every system writes and reads the same bytes, all of them. Each is set up as its documentation
//! recommends. Each measurement runs in its own process, so a system that hangs or crashes costs
//! one table cell. Systems take turns, each measurement is repeated, and the median is reported. A
//! measurement that a system does not support has a dash in the table and a reason below it.

mod dispatch;
mod endpoints;
mod figure;
mod measurements;
mod partner;
mod payload;
mod peer;
mod peers;
mod plot;
mod report;
mod system;
mod task;
mod timing;
mod worker;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use peer::Unsupported;
use report::{Cell, Results};
use system::System;
use task::Task;
use workload::{Budget, Workload};

/// Measures splinter-bus and its peers side by side.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs one short repetition of each measurement: less than a minute, but noisy
    #[arg(long)]
    quick: bool,
    /// Runs only these workloads
    #[arg(long)]
    workload: Vec<Workload>,
    /// Measures only these systems
    #[arg(long)]
    system: Vec<System>,
    /// Measures only this message size in bytes
    #[arg(long)]
    size: Option<usize>,
    /// Prints one JSON object per figure instead of tables
    #[arg(long)]
    json: bool,
    /// Draws SVG charts into this directory
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Role {
    /// Runs one measurement, and prints its figures
    #[command(hide = true)]
    Worker(Task),
    /// Runs the other process of a measurement
    #[command(hide = true)]
    Partner(Task),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.role {
        Some(Role::Worker(task)) => run_worker(task),
        Some(Role::Partner(task)) => run_partner(task),
        None => measure_all(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_worker(task: &Task) -> Result<()> {
    end_with_parent()?;
    worker::print_outcome(dispatch::measure(task))
}

fn run_partner(task: &Task) -> Result<()> {
    end_with_parent()?;
    dispatch::run_partner(task).inspect_err(|error| {
        if let Some(reason) = error.downcast_ref::<Unsupported>() {
            partner::unsupported(reason);
        }
    })
}

/// Has the kernel kill this process when its parent ends. Otherwise a spinning orphan would remain.
fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

fn measure_all(arguments: &Arguments) -> Result<()> {
    // All crossbar processes share this file, and crossbar never removes it.
    let registry = Path::new("/dev/shm/crossbar-registry");
    let registry_existed = registry.exists();
    let results = collect(arguments);
    if !registry_existed {
        let _ = fs::remove_file(registry);
    }
    if arguments.json {
        results.print_json();
    } else {
        results.print_tables();
    }
    if let Some(directory) = &arguments.plots {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        plot::draw(&results, directory)?;
    }
    Ok(())
}

/// Runs the selected measurements, and prints the progress to standard error.
fn collect(arguments: &Arguments) -> Results {
    let budget = if arguments.quick { Budget::QUICK } else { Budget::FULL };
    let wants_workload = |it: &Workload| arguments.workload.is_empty() || arguments.workload.contains(it);
    let wants_system = |it: &System| arguments.system.is_empty() || arguments.system.contains(it);
    let wants_size = |size: usize| arguments.size.is_none_or(|only| only == size);
    let mut results = Results::default();
    let start = Instant::now();
    for &workload in Workload::ALL.iter().filter(|it| wants_workload(it)) {
        for &size in workload.sizes().iter().filter(|&&size| wants_size(size)) {
            eprintln!("[{:>3} s] {} {size}", start.elapsed().as_secs(), workload.name());
            for _ in 0..budget.repetitions {
                for system in System::measured_in(workload).filter(wants_system) {
                    for &setup in system.setups(workload) {
                        let outcome = worker::measure(workload, size, setup, arguments.quick);
                        results.add(Cell { workload, size, system }, setup, outcome);
                    }
                }
            }
        }
    }
    results
}
