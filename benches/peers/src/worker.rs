//! The worker process of a measurement: starting it, its outcome, and removing what it leaves.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::figure::Figure;
use crate::peer::Unsupported;
use crate::system::Setup;
use crate::task::Task;
use crate::workload::{Budget, Workload};

/// What a worker prints, as the last line of its standard output.
#[derive(serde::Serialize, serde::Deserialize)]
enum Outcome {
    Figures(Vec<Figure>),
    Unsupported(String),
}

/// In the worker: prints the outcome of its measurement.
pub(crate) fn print_outcome(measured: Result<Vec<Figure>>) -> Result<()> {
    let outcome = match measured {
        Ok(figures) => Outcome::Figures(figures),
        Err(error) if error.is::<Unsupported>() => Outcome::Unsupported(error.to_string()),
        Err(error) => return Err(error),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// Runs a measurement in a worker process. Returns the reason if there are no figures.
pub(crate) fn measure(workload: Workload, size: usize, setup: Setup, quick: bool) -> Result<Vec<Figure>, String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let session = format!("splinter-peers-{}-{count}", std::process::id());
    let task = Task { setup, workload, size, session, quick, partner: 0 };
    let outcome = run(&task);
    remove_leftovers(&task.session);
    match outcome {
        Ok(Outcome::Figures(figures)) => Ok(figures),
        Ok(Outcome::Unsupported(reason)) => Err(reason),
        Err(error) => {
            eprintln!("        {}: {error:#}", setup.name());
            Err(format!("failed: {error:#}"))
        }
    }
}

fn run(task: &Task) -> Result<Outcome> {
    let mut worker = Command::new(std::env::current_exe()?)
        .arg("worker")
        .args(task.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Both pipes are drained at the same time, so that a full one cannot block the worker.
    let output = read_to_end(worker.stdout.take().expect("standard output is piped"));
    let errors = read_to_end(worker.stderr.take().expect("standard error is piped"));
    let deadline = Instant::now() + Budget::TIMEOUT;
    let status = loop {
        match worker.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                worker.kill()?;
                worker.wait()?;
                anyhow::bail!("timed out after {:?}", Budget::TIMEOUT);
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let output = output.join().expect("the reader does not panic")?;
    let errors = errors.join().expect("the reader does not panic")?;
    if !status.success() {
        let last = errors.lines().last().unwrap_or_default();
        anyhow::bail!("{status}: {last}");
    }
    Ok(serde_json::from_str(output.lines().last().context("the worker printed nothing")?)?)
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<std::io::Result<String>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// Removes the files of a session, whose names all contain the name of the session.
///
/// The number at the end of the name must match in full: session 1 leaves the files of session 12.
fn remove_leftovers(session: &str) {
    for directory in ["/dev/shm".into(), std::env::temp_dir()] {
        for entry in fs::read_dir::<PathBuf>(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let belongs_to_session = name
                .match_indices(session)
                .any(|(at, _)| !name[at + session.len()..].starts_with(|c: char| c.is_ascii_digit()));
            if belongs_to_session {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
    }
}
