//! splinter-bus beside its peers, measured in one run, with the same bytes written and read in full on both sides.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml              # everything: below ten minutes, on two cores
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick   # below one
//! ```
//!
//! `--workload` and `--system` choose (`--help` lists them), `--json` prints one figure a line, `--plots DIR` draws. libsplinter needs libclang and a C
//! compiler to be built, and can be left out by `--no-default-features`; Redis is measured if `redis-server` is installed.
//!
//! Each system is set up as its own documents advise. Each measurement runs in a process of its own, so that whatever hangs or ends there is a blank in
//! the table; each is done several times, in turn with those of the others, and the median counts. What a system cannot do is a blank, too.

mod capacity;
mod measure;
mod payload;
mod peer;
mod peers;
mod plot;
mod report;
mod system;
mod typed;
mod workload;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use measure::{Figure, PartnerOf, Task, Worker};
use peer::Blank;
use report::{Cell, Results};
use system::{Setup, System};
use workload::{Budget, Workload};

/// Measures splinter-bus beside its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Takes less than a minute, and tells less.
    #[arg(long)]
    quick: bool,
    /// Only these.
    #[arg(long)]
    workload: Vec<Workload>,
    /// Only these.
    #[arg(long)]
    system: Vec<System>,
    /// Only messages of this size in bytes.
    #[arg(long)]
    size: Option<usize>,
    /// Prints one JSON object for each figure, instead of tables.
    #[arg(long)]
    json: bool,
    /// Draws SVGs into this directory.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Role {
    /// Does one measurement, and prints its figures.
    #[command(hide = true)]
    Worker(Task),
    /// Is the other process of one.
    #[command(hide = true)]
    Partner(Task),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.role {
        Some(Role::Worker(task)) => worker(task),
        Some(Role::Partner(task)) => partner(task),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a worker prints: figures, or why there are none.
#[derive(serde::Serialize, serde::Deserialize)]
enum Outcome {
    Figures(Vec<Figure>),
    Blank(String),
}

/// Nobody outlives who started it, or it would spin for ever.
fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

fn worker(task: &Task) -> Result<()> {
    end_with_parent()?;
    let measured = if task.workload == Workload::Typed && task.setup == Setup::SplinterBus {
        typed::by_type(task)
    } else {
        task.setup.accept(task.workload.job(task.size).size, Worker(task))
    };
    let outcome = match measured {
        Ok(figures) => Outcome::Figures(figures),
        Err(error) if error.is::<Blank>() => Outcome::Blank(error.to_string()),
        Err(error) => return Err(error),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn partner(task: &Task) -> Result<()> {
    end_with_parent()?;
    let played = task.setup.accept(task.workload.job(task.size).size, PartnerOf(task));
    played.inspect_err(|error| {
        if error.is::<Blank>() {
            println!("{}{error}", Blank::LINE);
        }
    })
}

fn run(arguments: &Arguments) -> Result<()> {
    let budget = if arguments.quick { Budget::QUICK } else { Budget::FULL };
    let chosen = |workload: &Workload| arguments.workload.is_empty() || arguments.workload.contains(workload);
    let mut results = Results::default();
    // All of crossbar's processes share it, and nobody removes it.
    let registry = Path::new("/dev/shm/crossbar-registry");
    let registry_was_there = registry.exists();
    let start = Instant::now();
    for &workload in Workload::ALL.iter().filter(|workload| chosen(workload)) {
        for &size in workload.sizes().iter().filter(|&&size| arguments.size.is_none_or(|only| only == size)) {
            eprintln!("[{:>3} s] {} {size}", start.elapsed().as_secs(), workload.name());
            for _ in 0..budget.laps {
                for system in
                    workload.systems().filter(|it| arguments.system.is_empty() || arguments.system.contains(it))
                {
                    for &setup in system.setups(workload) {
                        results.add(
                            Cell { workload, size, system },
                            setup,
                            measure(workload, size, setup, arguments.quick),
                        );
                    }
                }
            }
        }
    }
    if !registry_was_there {
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

/// Has a worker measure; why there is no figure, otherwise.
fn measure(workload: Workload, size: usize, setup: Setup, quick: bool) -> Result<Vec<Figure>, String> {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let session = format!("splinter-peers-{}-{count}", std::process::id());
    let outcome = worker_process(workload, size, setup, quick, &session);
    sweep(&session);
    match outcome {
        Ok(Outcome::Figures(figures)) => Ok(figures),
        Ok(Outcome::Blank(reason)) => Err(reason),
        Err(error) => {
            let setup = setup.to_possible_value().expect("none is skipped");
            eprintln!("        {}: {error:#}", setup.get_name());
            Err(format!("failed: {error:#}"))
        }
    }
}

fn worker_process(workload: Workload, size: usize, setup: Setup, quick: bool, session: &str) -> Result<Outcome> {
    let setup = setup.to_possible_value().expect("none is skipped");
    let mut worker = Command::new(std::env::current_exe()?)
        .args(["worker", "--session", session, "--setup", setup.get_name(), "--workload", &workload.name()])
        .args(["--size", &size.to_string()])
        .args(quick.then_some("--quick"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut output = worker.stdout.take().expect("it is piped");
    let mut errors = worker.stderr.take().expect("it is piped");
    let output = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let deadline = Instant::now() + Budget::PATIENCE;
    let status = loop {
        match worker.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                worker.kill()?;
                worker.wait()?;
                anyhow::bail!("did not end within {:?}", Budget::PATIENCE);
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let output = output.join().expect("reading does not panic")?;
    let errors = errors.join().expect("reading does not panic")?;
    if !status.success() {
        let last = errors.lines().last().unwrap_or_default();
        anyhow::bail!("{status}: {last}");
    }
    Ok(serde_json::from_str(output.lines().last().context("the worker said nothing")?)?)
}

/// Removes whatever a session has left, and only that: its name is in the names of all of it.
fn sweep(session: &str) {
    for directory in ["/dev/shm".into(), std::env::temp_dir()] {
        for entry in fs::read_dir::<PathBuf>(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_its = name
                .match_indices(session)
                .any(|(at, _)| !name[at + session.len()..].starts_with(|c: char| c.is_ascii_digit()));
            if is_its {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
    }
}
