//! Everything at once, for as long as it is wanted, while processes are killed: and each byte, version, message and job is accounted
//! for.
//!
//! Workers set, lend, read and pin values, publish and receive messages, with and without loss, and share jobs, all at
//! random. What they find wrong, and what their parent finds in the store and in their journals when they have ended, is told;
//! then this program ends with 1.

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
use supervisor::{How, Regime, Supervisor};

mod accounts;
mod arena;
mod audit;
mod defect;
mod journal;
mod orders;
mod random;
mod recorder;
mod scene;
mod summary;
mod supervisor;
mod tally;
mod value;
mod witness;
mod worker;

/// Works a store hard, kills those who do, and accounts for every byte, version, message and job.
#[derive(Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// How many processes work at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    processes: u32,
    /// Threads of this process instead, half of which share a handle; none of them is killed
    #[arg(long, value_name = "N", conflicts_with = "processes", value_parser = clap::value_parser!(u32).range(1..=100))]
    threads: Option<u32>,
    /// A store in this file, which must not be there yet, instead of in shared memory; it is removed at the end
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Keys of each sort: for values, messages, and jobs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keys: u32,
    /// The lengths of values in bytes
    #[arg(long, value_name = "MIN..MAX", default_value = "32..4096", value_parser = Arena::parse_sizes)]
    sizes: Range<usize>,
    /// How many of a key's newest values are kept: few, so that a reader who is interrupted is overtaken
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    history: u32,
    /// Cells beyond those: few, so that writers are in need while others hold some
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    spare: u32,
    /// For how long, in seconds
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// A worker is killed, and another one started, this often; 0: never
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_time)]
    kill_every: Duration,
    /// A worker is stopped for up to 50 ms this often; 0: never
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_time)]
    stop_every: Duration,
    /// Other numbers give other choices; what comes of them depends on the moment, too
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one object of JSON
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
            // One that stands still would not see its standard input end.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let orders = Orders::of_stdin();
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
        // A path of which a text cannot be taken for a name.
        Some(path) => std::path::absolute(path)?.into(),
        None => Location::from(name.clone()),
    };
    let directory = tempfile::Builder::new().prefix(&name).tempdir()?;
    let arena = options.arena(location, directory.path().to_owned());
    let store = arena.create()?;
    let _scene = Scene::new(&arena)?;
    worker::values::set_first(&arena, &store)?;
    let regime = Regime {
        how: if options.threads.is_some() { How::Threads } else { How::Processes },
        duration: Duration::from_secs(options.seconds),
        kill_every: options.kill_every,
        stop_every: options.stop_every,
    };
    let mut outcome = Supervisor::new(&arena, &store, &regime).run()?;
    let accounts = accounts::settle(&arena, outcome.workers, &outcome.killed, &mut outcome.defects)?;
    audit::audit(&arena, &store, &mut outcome.defects);
    let summary = Summary { arena: &arena, outcome: &outcome, accounts: &accounts };
    if options.json {
        println!("{:#}", summary.json());
    } else {
        summary.print();
    }
    Ok(if summary.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
