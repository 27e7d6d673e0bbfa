//! Chat with a language model in another process: a client publishes typed prompts, and a worker
//! streams typed answers.
//!
//! Without `--role`, this program starts a client and a worker process. With it, clients and
//! workers can run in several terminals at the same time.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use client::Limits;
use log::{Format, Log};
use model::{Model, NgramModel, OpenAiOptions};
use worker::Shutdown;

mod client;
mod log;
mod messages;
mod model;
mod sse;
mod store;
mod supervisor;
mod worker;

/// The store of a client or worker that is started with `--role` and without `--store`.
const DEFAULT_STORE: &str = "splinter-chat";

/// Sends prompts to a language model in another process, and prints the answers while they arrive.
#[derive(Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// Run only one side; without it, both are started
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The store in /dev/shm; without it, --role uses splinter-chat, and a run of both sides a
    /// temporary store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// A file with one prompt per line, or - for standard input; the default is
    /// examples/prompts.txt
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Print every message as a line of JSON
    #[arg(long)]
    json: bool,
    /// The longest answer in tokens
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_tokens: u32,
    /// How long the client waits for the first worker and for each piece of an answer, for example
    /// 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The text that the built-in model is trained on; the default is examples/corpus.txt
    #[arg(long, value_name = "FILE", conflicts_with = "openai")]
    corpus: Option<PathBuf>,
    /// The seed of the built-in model; each seed gives different answers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Use an OpenAI-compatible server instead of the built-in model, for example
    /// http://localhost:8080
    #[arg(long, value_name = "URL")]
    openai: Option<String>,
    /// The model of the server; the default is the first that it lists
    #[arg(long, value_name = "NAME", requires = "openai")]
    model: Option<String>,
    /// End when standard input is closed
    #[arg(long, hide = true)]
    end_with_stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Client,
    Worker,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) if client::is_broken_pipe(&*error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chat: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let name = options.store.as_deref();
    match options.role {
        None => {
            // Report unreadable prompts before any process is started.
            drop(open_prompts(options)?);
            supervisor::run(name)
        }
        Some(Role::Worker) => {
            let mut model = load_model(options)?;
            let shutdown = if options.end_with_stdin { Shutdown::on_end_of_stdin() } else { Shutdown::never() };
            worker::run(name.unwrap_or(DEFAULT_STORE), &mut *model, &shutdown)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Role::Client) => {
            let prompts = open_prompts(options)?;
            let limits = Limits { max_tokens: options.max_tokens, timeout: options.timeout };
            let log = Log::new(if options.json { Format::Json } else { Format::Text });
            let unanswered = client::run(name.unwrap_or(DEFAULT_STORE), prompts, &limits, log)?;
            if unanswered.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("chat: {} prompts have no complete answer:", unanswered.len());
            unanswered.iter().for_each(|prompt| eprintln!("  {prompt}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn open_prompts(options: &Options) -> Result<Box<dyn BufRead>, Box<dyn Error>> {
    match &options.prompts {
        None => Ok(Box::new(io::Cursor::new(include_str!("../../prompts.txt")))),
        Some(path) if path == Path::new("-") => Ok(Box::new(io::stdin().lock())),
        Some(path) => {
            let cannot_read = |error: io::Error| format!("cannot read the prompts in {}: {error}", path.display());
            let file = File::open(path).map_err(cannot_read)?;
            if file.metadata().map_err(cannot_read)?.is_dir() {
                return Err(format!("cannot read the prompts in {}: it is a directory", path.display()).into());
            }
            Ok(Box::new(BufReader::new(file)))
        }
    }
}

fn load_model(options: &Options) -> Result<Box<dyn Model>, Box<dyn Error>> {
    Ok(match (&options.openai, &options.corpus) {
        (Some(url), _) => {
            let mut server = OpenAiOptions::new().idle_timeout(options.timeout);
            if let Some(name) = &options.model {
                server = server.model(name);
            }
            if let Ok(key) = std::env::var("OPENAI_API_KEY") {
                server = server.api_key(key);
            }
            Box::new(server.connect(url)?)
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the corpus {}: {error}", path.display()))?;
            Box::new(NgramModel::train(&path.display().to_string(), &text)?.seed(options.seed))
        }
        (None, None) => Box::new(NgramModel::built_in().seed(options.seed)),
    })
}

/// The error and its sources, in one line.
fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
