//! The programs of `src/bin` as processes of the tests.

#![allow(unreachable_pub, reason = "a module of several test binaries")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub const V1: &str = env!("CARGO_BIN_EXE_program_v1");
pub const V2: &str = env!("CARGO_BIN_EXE_program_v2");
const DEADLINE: Duration = Duration::from_secs(60);

/// A program that runs, and the lines that it prints.
pub struct Program {
    pub child: Child,
    lines: Receiver<String>,
}

impl Program {
    pub fn start(program: &str, arguments: [&str; 5]) -> Self {
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// A receiver that receives from now on.
    pub fn receiver(program: &str, role: &str, store: &str, kind: &str, count: u32) -> Self {
        let receiver = Self::start(program, [role, store, kind, "0", &count.to_string()]);
        assert_eq!(receiver.line(), "ready");
        receiver
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("one line more")
    }

    /// Waits for its end. Returns the lines that were not read yet.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let lines = self.lines.iter().collect();
        assert!(self.child.wait().expect("a child").success());
        lines
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
