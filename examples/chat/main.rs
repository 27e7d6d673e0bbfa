//! Answers prompts from a file, piece by piece, with a model of choice.

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use model::{Model, NgramModel, OpenAiOptions};

mod model;
mod sse;

#[derive(Parser)]
struct Options {
    /// The text that the built-in model learns from
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
    /// How long the server may be silent, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "openai")]
    #[arg(value_parser = humantime::parse_duration)]
    idle_timeout: Duration,
    /// The longest answer
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_tokens: u32,
    /// A file of prompts, one a line
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
}

fn main() -> ExitCode {
    match answer_all(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer_all(options: Options) -> Result<(), Box<dyn Error>> {
    let mut model: Box<dyn Model> = match (&options.openai, &options.corpus) {
        (Some(url), _) => {
            let mut server = OpenAiOptions::new().idle_timeout(options.idle_timeout);
            if let Some(name) = options.model {
                server = server.model(name);
            }
            if let Ok(key) = std::env::var("OPENAI_API_KEY") {
                server = server.api_key(key);
            }
            Box::new(server.connect(url)?)
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Box::new(NgramModel::train(&path.display().to_string(), &text)?.seed(options.seed))
        }
        (None, None) => Box::new(NgramModel::built_in().seed(options.seed)),
    };
    let prompts = match &options.prompts {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        None => include_str!("../prompts.txt").to_owned(),
    };

    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", model.name())?;
    for prompt in prompts.lines().filter(|line| !line.trim().is_empty()) {
        write!(out, "\n> {prompt}\n")?;
        let mut written = Ok(());
        model.generate(prompt, options.max_tokens, &mut |piece| {
            written = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
            if written.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        written?;
        writeln!(out)?;
    }
    Ok(())
}
