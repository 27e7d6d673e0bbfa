//! Prompts and answers between processes: a client publishes typed prompts, a worker streams typed answers.
//!
//! Without `--role`, both sides are started as processes of their own. With it, each can be run in a terminal of its own,
//! several of them at once.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use client::Manner;
use log::{Format, Log};
use model::{Model, NgramModel, OpenAiOptions};
use worker::EndOfParent;

mod client;
mod log;
mod messages;
mod model;
mod sse;
mod store;
mod supervisor;
mod worker;

/// The store of those who were started alone and were not told another.
const DEFAULT_STORE: &str = "splinter-chat";

/// Asks prompts of a language model in another process, and prints the answers as they come.
#[derive(Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// Run one side alone; without it, both are started
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The store under /dev/shm that both sides meet on; it stays, unless it is the one made for a run of both
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// A file of prompts, one a line, - for standard input; those in examples/prompts.txt if not given
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Print every message as a line of JSON
    #[arg(long)]
    json: bool,
    /// The longest answer, in pieces of the model's own making
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_tokens: u32,
    /// How long the client waits for a first worker, and for the next piece of an answer, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The text that the built-in model learns from; examples/corpus.txt if not given
    #[arg(long, value_name = "FILE", conflicts_with = "openai")]
    corpus: Option<PathBuf>,
    /// Other numbers give other answers of the built-in model
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Ask an OpenAI-compatible server instead, such as http://localhost:8080
    #[arg(long, value_name = "URL")]
    openai: Option<String>,
    /// The server's model; the first that it lists if not given
    #[arg(long, value_name = "NAME", requires = "openai")]
    model: Option<String>,
    /// End when standard input does
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
            // Before anything is started: what cannot be read now cannot be read later.
            drop(open_prompts(options)?);
            supervisor::run(name)
        }
        Some(Role::Worker) => {
            let mut model = load_model(options)?;
            let ends = if options.end_with_stdin { EndOfParent::of_stdin() } else { EndOfParent::never() };
            worker::run(name.unwrap_or(DEFAULT_STORE), &mut *model, &ends)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Role::Client) => {
            let prompts = open_prompts(options)?;
            let manner = Manner { max_tokens: options.max_tokens, timeout: options.timeout };
            let log = Log::new(if options.json { Format::Json } else { Format::Text });
            let unanswered = client::run(name.unwrap_or(DEFAULT_STORE), prompts, &manner, log)?;
            if unanswered.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("chat: {} prompts were not answered to the end:", unanswered.len());
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

/// The error and what it came from, in one line.
fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
