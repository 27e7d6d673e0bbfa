//! The worker: takes the prompts that are addressed to it, one after the other, and streams the answers.

use std::error::Error;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::frame::FaultCode;
use splinter_bus::message::Fault;
use splinter_bus::store::Store;
use splinter_bus::{Bus, PublishError, Received, RecvError, Stream};

use crate::messages::{Address, PROMPTS, Presence, Prompt, Token, component, worker_key};
use crate::model::Model;
use crate::store::{self, HISTORY, OwnKeys};

/// How often an idle worker looks whether it should end, and a busy one whether anybody still listens.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// Pieces that are sent one by one. The rest of a longer answer comes in larger ones: all of it must fit into the history
/// of the client's key, or a slow client would lose the beginning.
const SINGLE_PIECES: u32 = HISTORY - 30;
/// The size of the larger pieces, in bytes.
const LARGE_PIECE: usize = 2048;

pub(crate) fn run(name: &str, model: &mut dyn Model, ends: &EndOfParent) -> Result<(), Box<dyn Error>> {
    let store = store::open_or_create(name)?;
    let _own_keys = OwnKeys::new(&store)?;
    let me: Address = store.participant().into();
    let component = component("worker", me);
    let mut prompts = Bus::<Prompt>::on(store.clone()).subscribe(PROMPTS)?;
    // Known from here on, and not before it can hear.
    let presence = Presence { model: model.name().to_owned(), pid: std::process::id(), worker: me };
    Bus::<Presence>::on(store.clone()).publisher(&worker_key(me))?.from(&component).publish(&presence)?;
    eprintln!("chat: {component} (pid {}) takes prompts on {name:?} with {}", presence.pid, presence.model);

    let answers = Bus::<Token>::on(store.clone());
    while !ends.reached() {
        match prompts.recv_timeout(LOOK_AROUND) {
            Ok(Some(prompt)) if prompt.to() == component => answer(&store, &answers, &component, &prompt, model, ends)?,
            Ok(_) => {}
            // Their clients will not be answered, and ask again.
            Err(RecvError::Lagged(missed)) => eprintln!("chat: {component} was too busy and missed {missed} prompts"),
            Err(error @ (RecvError::Removed { .. } | RecvError::Damaged { .. } | RecvError::Declare(_))) => {
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
    ends: &EndOfParent,
) -> Result<(), Box<dyn Error>> {
    // Dropped with its client: an answer would only bring the key back to life.
    if store::living(store, prompt.client)?.is_none() {
        return Ok(());
    }
    let mut publisher = answers.publisher(&prompt.reply_to)?.from(component).to(prompt.from());
    let mut answer = Answer { stream: publisher.stream(prompt.id()), pending: String::new() };
    let mut stopped: Option<Box<dyn Error>> = None;
    let mut looked_at = Instant::now();
    let generated = model.generate(&prompt.text, prompt.max_tokens, &mut |piece| {
        if ends.reached() {
            return ControlFlow::Break(());
        }
        if looked_at.elapsed() > LOOK_AROUND {
            looked_at = Instant::now();
            match store::living(store, prompt.client) {
                Ok(Some(_)) => {}
                Ok(None) => return ControlFlow::Break(()),
                Err(error) => stopped = Some(error.into()),
            }
        }
        if let Err(error) = answer.piece(piece) {
            stopped = Some(error.into());
        }
        if stopped.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if ends.reached() {
        return Ok(());
    }
    if let Some(error) = stopped {
        return Err(error);
    }
    match generated {
        Ok(()) => answer.finish()?,
        Err(error) => {
            eprintln!("chat: {component}: {error}");
            let fault = Fault::new(FaultCode::InternalError, shortened(error.to_string()));
            publisher.fault(prompt.id(), &fault)?;
        }
    }
    Ok(())
}

/// The stream of one answer.
struct Answer<'a> {
    stream: Stream<'a, Token>,
    /// What is not sent yet, because it is to become a larger piece.
    pending: String,
}

impl Answer<'_> {
    fn piece(&mut self, piece: &str) -> Result<(), PublishError> {
        self.pending.push_str(piece);
        if self.stream.sent() < SINGLE_PIECES || self.pending.len() >= LARGE_PIECE {
            self.send()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), PublishError> {
        if !self.pending.is_empty() {
            self.send()?;
        }
        self.stream.finish(&token(String::new()))?;
        Ok(())
    }

    /// Sends what is pending, in as many messages as it needs: a server's piece may be longer than one holds.
    fn send(&mut self) -> Result<(), PublishError> {
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

/// An error text that fits into a message.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LARGE_PIECE));
    text
}

/// Whether whoever started this worker is gone: then its standard input has come to an end.
pub(crate) struct EndOfParent(Arc<AtomicBool>);

impl EndOfParent {
    /// Never comes: the worker was started by hand.
    pub(crate) fn never() -> Self {
        Self(Arc::default())
    }

    /// Comes when standard input is closed, by its other end or the end of the process that has it.
    pub(crate) fn of_stdin() -> Self {
        let reached = Arc::new(AtomicBool::new(false));
        let end = Self(Arc::clone(&reached));
        thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            reached.store(true, Ordering::Relaxed);
        });
        end
    }

    fn reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
