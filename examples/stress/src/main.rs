//! A stress test: random operations by many processes, some of which are killed or stopped. Every
//! byte, version, message and job is checked.
//!
//! Workers set, loan, read and pin values, publish and receive messages, with and without loss, and
//! share jobs. They report every defect that they observe. At the end, the supervisor checks the
//! store, and the journals that workers wrote about their jobs.
//!
//! Exit codes: 0 without defects, 1 with defects, 2 if the test itself failed.

use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rustix::process::{Signal, set_parent_process_death_signal};
use splinter_bus::store::Location;

use arena::Arena;
use orders::Orders;
use recorder::{Recorder, Sink};
use scene::Scene;
use summary::Summary;
use supervisor::{Plan, Supervisor, WorkerKind};

mod accounts;
mod arena;
mod audit;
mod defect;
mod journal;
mod orders;
mod random;
mod recorder;
mod role;
mod scene;
mod summary;
mod supervisor;
mod tally;
mod timer;
mod value;
mod witness;
mod worker;
mod worker_handle;

/// Stress test with killed processes: checks every byte, version, message and job.
#[derive(Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// How many processes run at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    processes: u32,
    /// Use threads of one process instead; half of them share a handle; threads are not killed
    #[arg(long, value_name = "N", conflicts_with = "processes", value_parser = clap::value_parser!(u32).range(1..=100))]
    threads: Option<u32>,
    /// Create the store in this file, which must not exist, instead of in shared memory; it is
    /// removed at the end
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Keys of each kind: values, messages, and jobs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keys: u32,
    /// The range of value lengths in bytes
    #[arg(long, value_name = "MIN..MAX", default_value = "32..4096", value_parser = Arena::parse_sizes)]
    sizes: Range<usize>,
    /// Values kept per key; a small history makes interrupted readers fall behind
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    history: u32,
    /// Spare cells per key; few cells make writers wait while others hold some
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    spare: u32,
    /// Duration in seconds
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Interval at which a worker is killed and replaced; 0 disables it
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_time)]
    kill_every: Duration,
    /// Interval at which a worker is stopped for up to 50 ms; 0 disables it
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_time)]
    stop_every: Duration,
    /// Seed of the random choices; the outcome also depends on timing
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[arg(long, value_enum, hide = true)]
    role: Option<Role>,
    #[arg(long, hide = true, default_value_t = 0)]
    number: u64,
    #[arg(long, hide = true)]
    store: Option<String>,
    #[arg(long, hide = true)]
    directory: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Worker,
    Janitor,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stress: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let (Some(store), Some(directory)) = (&options.store, &options.directory) else {
        return supervise(options);
    };
    let arena = options.arena(store.into(), directory.clone());
    match options.role {
        Some(Role::Worker) => {
            // A stopped worker would not notice the end of its standard input.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let orders = Orders::from_stdin();
            let store = arena.open()?;
            worker::run(&arena, &store, options.number, &orders, &mut Recorder::new(Sink::Stdout))?;
        }
        Some(Role::Janitor) => scene::keep_clean(&arena),
        None => return supervise(options),
    }
    Ok(ExitCode::SUCCESS)
}

fn supervise(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let name = format!("splinter-stress-{}", std::process::id());
    let location = match &options.file {
        // An absolute path, because text without a `/` would be the name of a shared memory store.
        Some(path) => std::path::absolute(path)?.into(),
        None => Location::from(name.clone()),
    };
    let directory = tempfile::Builder::new().prefix(&name).tempdir()?;
    let arena = options.arena(location, directory.path().to_owned());
    let store = arena.create()?;
    let _scene = Scene::new(&arena)?;
    worker::values::set_initial(&arena, &store)?;
    let plan = Plan {
        worker_kind: if options.threads.is_some() { WorkerKind::Threads } else { WorkerKind::Processes },
        duration: Duration::from_secs(options.seconds),
        kill_every: options.kill_every,
        stop_every: options.stop_every,
    };
    let mut outcome = Supervisor::new(&arena, &store, &plan).run()?;
    let accounts = accounts::check(&arena, outcome.workers, &outcome.killed, &mut outcome.defects)?;
    audit::audit(&arena, &store, &mut outcome.defects);
    let summary = Summary { arena: &arena, outcome: &outcome, accounts: &accounts };
    if options.json {
        println!("{:#}", summary.json());
    } else {
        summary.print();
    }
    Ok(if summary.has_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn arena(&self, location: Location, directory: PathBuf) -> Arena {
        Arena {
            location,
            directory,
            keys: self.keys,
            sizes: self.sizes.clone(),
            history: self.history,
            spare: self.spare,
            workers: self.threads.unwrap_or(self.processes),
            seed: self.seed,
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, humantime::DurationError> {
    if text == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text) }
}
