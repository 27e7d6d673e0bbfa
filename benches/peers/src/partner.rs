//! The second process of a measurement, and the protocol with it.
//!
//! The partner prints `ready`, reads a line that starts it, and runs until its standard input is
//! closed. Then it prints one line with its result.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

use crate::peer::Unsupported;
use crate::task::Task;

/// How a partner prints that its system does not support the measurement, instead of `ready`.
const UNSUPPORTED: &str = "unsupported: ";

/// A running partner process, as the worker sees it. It is killed on drop.
pub(crate) struct Partner {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Partner {
    /// Starts the partner with this index, and waits until it is ready.
    pub(crate) fn start(task: &Task, index: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("partner")
            .args(Task { partner: index, ..task.clone() }.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("standard output is piped"));
        let mut partner = Self { process, input, output };
        ensure!(partner.read_line()? == "ready", "the partner did not become ready");
        Ok(partner)
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the partner ended with an error");
        if let Some(reason) = line.trim_end().strip_prefix(UNSUPPORTED) {
            // Leaked at most once, because the worker ends with this error.
            return Err(Unsupported(reason.to_owned().leak()).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Has the partner begin.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let input = self.input.as_mut().expect("standard input is open until the end");
        writeln!(input, "begin")?;
        Ok(input.flush()?)
    }

    /// Ends the partner, and returns its result.
    pub(crate) fn end(&mut self) -> Result<String> {
        self.input = None;
        let line = self.read_line();
        ensure!(self.process.wait()?.success(), "the partner ended with an error");
        line
    }

    /// Like [`end`](Self::end), but calls `receive` until the partner has ended.
    ///
    /// A sender that is blocked because a queue is full can end only if this process receives.
    pub(crate) fn end_while_receiving(&mut self, mut receive: impl FnMut() -> Result<()>) -> Result<String> {
        self.input = None;
        while self.process.try_wait()?.is_none() {
            receive()?;
        }
        self.end()
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the partner: reports that it is ready, and waits for [`Partner::begin`].
///
/// The returned flag becomes `true` when the partner has to end.
pub(crate) fn ready() -> Result<Arc<AtomicBool>> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        flag.store(true, Ordering::Relaxed);
    });
    Ok(ended)
}

/// In the partner: prints the result for [`Partner::end`].
pub(crate) fn finish(result: &str) {
    println!("{result}");
}

/// In the partner: reports that its system does not support the measurement.
pub(crate) fn unsupported(reason: &Unsupported) {
    println!("{UNSUPPORTED}{reason}");
}
