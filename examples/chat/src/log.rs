//! The output of the client: the conversation as text, or each message as a line of JSON.

use std::io::{self, Write};
use std::time::SystemTime;

use serde_json::json;
use splinter_bus::message::Fault;
use splinter_bus::{Received, Sent};

use crate::messages::{Prompt, Token};

/// How messages are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Prints messages to standard output when they are sent or received.
pub(crate) struct Log {
    format: Format,
}

impl Log {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn sent(&self, sent: Sent, from: &str, prompt: &Prompt) -> io::Result<()> {
        match self.format {
            Format::Text => print(&format!("\n> {}\n", prompt.text)),
            Format::Json => print_json(json!({
                "direction": "sent", "type": "query", "id": sent.id.to_string(), "seq": 0, "eof": true,
                "from": from, "pid": prompt.pid, "version": sent.version, "latency_us": 0, "text": prompt.text,
            })),
        }
    }

    pub(crate) fn received(&self, token: &Received<Token>) -> io::Result<()> {
        match self.format {
            Format::Text if token.envelope().eof() => print("\n"),
            Format::Text => print(&token.text),
            Format::Json => self.envelope(token, token.pid, &token.text),
        }
    }

    /// Prints a fault. `pid` is that of the worker: a fault does not contain it.
    pub(crate) fn fault(&self, fault: &Received<Fault>, pid: u32) -> io::Result<()> {
        match self.format {
            Format::Text => print("\n"),
            Format::Json => self.envelope(fault, pid, &fault.to_string()),
        }
    }

    /// Ends the line of an incomplete answer.
    pub(crate) fn interrupted(&self) -> io::Result<()> {
        if self.format == Format::Text { print("\n") } else { Ok(()) }
    }

    fn envelope<T>(&self, received: &Received<T>, pid: u32, text: &str) -> io::Result<()> {
        let envelope = received.envelope();
        let latency = SystemTime::now().duration_since(envelope.sent_at()).unwrap_or_default();
        print_json(json!({
            "direction": "received", "type": envelope.kind().name(), "id": envelope.id().to_string(),
            "seq": envelope.seq(), "eof": envelope.eof(), "from": envelope.from(), "pid": pid,
            "version": envelope.version(), "latency_us": latency.as_nanos() as f64 / 1000.0, "text": text,
        }))
    }
}

fn print_json(json: serde_json::Value) -> io::Result<()> {
    print(&format!("{json}\n"))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
