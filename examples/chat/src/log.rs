//! What the client shows: the conversation, or every message as a line of JSON.

use std::io::{self, Write};
use std::time::SystemTime;

use serde_json::json;
use splinter_bus::message::Fault;
use splinter_bus::{Received, Sent};

use crate::messages::{Prompt, Token};

/// How messages are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Shows messages on standard output, each as it comes.
pub(crate) struct Log {
    format: Format,
}

impl Log {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn sent(&self, sent: Sent, from: &str, prompt: &Prompt) -> io::Result<()> {
        match self.format {
            Format::Text => show(&format!("\n> {}\n", prompt.text)),
            Format::Json => line(json!({
                "direction": "sent", "type": "query", "id": sent.id.to_string(), "seq": 0, "eof": true,
                "from": from, "pid": prompt.pid, "version": sent.version, "latency_us": 0, "text": prompt.text,
            })),
        }
    }

    pub(crate) fn received(&self, token: &Received<Token>) -> io::Result<()> {
        match self.format {
            Format::Text if token.eof() => show("\n"),
            Format::Text => show(&token.text),
            Format::Json => self.envelope(token, token.pid, &token.text),
        }
    }

    /// A fault carries no process id of its own: it comes from the worker that was asked.
    pub(crate) fn fault(&self, fault: &Received<Fault>, pid: u32) -> io::Result<()> {
        match self.format {
            Format::Text => show("\n"),
            Format::Json => self.envelope(fault, pid, &fault.to_string()),
        }
    }

    /// Ends the line of an answer that will have no end.
    pub(crate) fn broken_off(&self) -> io::Result<()> {
        if self.format == Format::Text { show("\n") } else { Ok(()) }
    }

    fn envelope<T>(&self, received: &Received<T>, pid: u32, text: &str) -> io::Result<()> {
        let envelope = received.envelope();
        let latency = SystemTime::now().duration_since(envelope.sent_at()).unwrap_or_default();
        line(json!({
            "direction": "received", "type": envelope.kind().name(), "id": envelope.id().to_string(),
            "seq": envelope.seq(), "eof": envelope.eof(), "from": envelope.from(), "pid": pid,
            "version": envelope.version(), "latency_us": latency.as_nanos() as f64 / 1000.0, "text": text,
        }))
    }
}

fn line(json: serde_json::Value) -> io::Result<()> {
    show(&format!("{json}\n"))
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
