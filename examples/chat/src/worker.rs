//! The worker: receives the prompts that are addressed to it, and streams the answers, one by one.

use std::error::Error;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::frame::FaultCode;
use splinter_bus::message::Fault;
use splinter_bus::store::{GetError, Store};
use splinter_bus::{Bus, PublishError, Received, RecvError, Stream};

use crate::messages::{Address, PROMPTS, Presence, Prompt, Token, component, worker_key};
use crate::model::Model;
use crate::store::{self, HISTORY, OwnKeys};

/// How often an idle worker checks for a shutdown, and a busy worker whether its client is alive.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How many pieces of an answer are sent separately. The rest is joined into larger pieces.
///
/// The whole answer must fit into the history of the client's key, else a slow client would lose
/// its beginning.
const SINGLE_PIECES: u32 = HISTORY - 30;
/// The size of a larger piece in bytes.
const LARGE_PIECE: usize = 2048;

pub(crate) fn run(name: &str, model: &mut dyn Model, shutdown: &Shutdown) -> Result<(), Box<dyn Error>> {
    let store = store::open_or_create(name)?;
    let _own_keys = OwnKeys::new(&store)?;
    let me: Address = store.participant().into();
    let component = component("worker", me);
    let mut prompts = Bus::<Prompt>::on(store.clone()).subscribe(PROMPTS)?;
    // Announced after the subscription, so that no prompt is missed.
    let presence = Presence { model: model.name().to_owned(), pid: std::process::id(), worker: me };
    Bus::<Presence>::on(store.clone()).publisher(&worker_key(me))?.from(&component).publish(&presence)?;
    eprintln!("chat: {component} (pid {}) takes prompts on {name:?} with {}", presence.pid, presence.model);

    let answers = Bus::<Token>::on(store.clone());
    while !shutdown.is_requested() {
        match prompts.recv_timeout(CHECK_INTERVAL) {
            Ok(Some(prompt)) if prompt.envelope().to() == component => {
                answer(&store, &answers, &component, &prompt, model, shutdown)?
            }
            Ok(_) => {}
            // The clients of these prompts time out and retry.
            Err(RecvError::Lagged(missed)) => eprintln!("chat: {component} was too slow and missed {missed} prompts"),
            Err(
                error @ (RecvError::Removed { .. }
                | RecvError::Get { source: GetError::Key(_), .. }
                | RecvError::Declare(_)),
            ) => {
                return Err(error.into());
            }
            Err(error) => eprintln!("chat: {component}: {error}"),
        }
    }
    Ok(())
}

fn answer(
    store: &Store,
    answers: &Bus<Token>,
    component: &str,
    prompt: &Received<Prompt>,
    model: &mut dyn Model,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn Error>> {
    // The client has ended. An answer would create its key again, which no process would remove.
    if store::find_participant(store, prompt.client)?.is_none() {
        return Ok(());
    }
    let mut publisher = answers.publisher(&prompt.reply_to)?.from(component).to(prompt.envelope().from());
    let mut answer = Answer { stream: publisher.stream(prompt.envelope().id()), pending: String::new() };
    let mut failed: Option<Box<dyn Error>> = None;
    let mut checked_at = Instant::now();
    let generated = model.generate(&prompt.text, prompt.max_tokens, &mut |piece| {
        if shutdown.is_requested() {
            return ControlFlow::Break(());
        }
        if checked_at.elapsed() > CHECK_INTERVAL {
            checked_at = Instant::now();
            match store::find_participant(store, prompt.client) {
                Ok(Some(_)) => {}
                Ok(None) => return ControlFlow::Break(()),
                Err(error) => failed = Some(error.into()),
            }
        }
        if let Err(error) = answer.push(piece) {
            failed = Some(error.into());
        }
        if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if shutdown.is_requested() {
        return Ok(());
    }
    if let Some(error) = failed {
        return Err(error);
    }
    match generated {
        Ok(()) => answer.finish()?,
        Err(error) => {
            eprintln!("chat: {component}: {error}");
            let fault = Fault::new(FaultCode::InternalError, truncated(error.to_string()));
            answer.stream.fault(&fault)?;
        }
    }
    Ok(())
}

/// The stream of one answer.
struct Answer<'a> {
    stream: Stream<'a, Token>,
    /// Text that is not sent yet, because it will be part of a larger piece.
    pending: String,
}

impl Answer<'_> {
    fn push(&mut self, piece: &str) -> Result<(), PublishError> {
        self.pending.push_str(piece);
        if self.stream.sent() < SINGLE_PIECES || self.pending.len() >= LARGE_PIECE {
            self.send_pending()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), PublishError> {
        if !self.pending.is_empty() {
            self.send_pending()?;
        }
        self.stream.finish(&token(String::new()))?;
        Ok(())
    }

    /// Sends the pending text. A server's piece may need several messages.
    fn send_pending(&mut self) -> Result<(), PublishError> {
        let mut rest = std::mem::take(&mut self.pending);
        while !rest.is_empty() {
            let later = rest.split_off(rest.floor_char_boundary(LARGE_PIECE));
            self.stream.send(&token(rest))?;
            rest = later;
        }
        Ok(())
    }
}

fn token(text: String) -> Token {
    Token { text, pid: std::process::id() }
}

/// Truncates an error text so that it fits into a message.
fn truncated(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LARGE_PIECE));
    text
}

/// A request to end, which the supervisor makes by closing the worker's standard input.
pub(crate) struct Shutdown(Arc<AtomicBool>);

impl Shutdown {
    /// For a worker that was started by hand: never requested.
    pub(crate) fn never() -> Self {
        Self(Arc::default())
    }

    /// Requested when standard input is closed, also by the end of the parent process.
    pub(crate) fn on_end_of_stdin() -> Self {
        let requested = Arc::new(AtomicBool::new(false));
        let shutdown = Self(Arc::clone(&requested));
        thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            requested.store(true, Ordering::Relaxed);
        });
        shutdown
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
