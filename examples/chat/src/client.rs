//! The client: asks its prompts, one after the other, and shows the answers as they come.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};
use std::time::{Duration, Instant};

use splinter_bus::store::Store;
use splinter_bus::{Bus, Publisher, RecvError, Subscriber};

use crate::log::Log;
use crate::messages::{Address, PROMPTS, Presence, Prompt, Token, WORKERS, answer_key, component};
use crate::store::{self, OwnKeys};

/// How long a silent worker is trusted before the store is asked whether it lives.
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// How long to look for another worker once there was one.
const PATIENCE_FOR_ANOTHER: Duration = Duration::from_secs(1);
/// How often a prompt is asked, each time of another worker if there is one.
const ATTEMPTS: u32 = 3;

/// A prompt that was not answered to its end.
pub(crate) struct Unanswered {
    /// The number of its line, from 1.
    line: usize,
    text: String,
    reason: String,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.text.floor_char_boundary(60);
        let dots = if shown < self.text.len() { "..." } else { "" };
        write!(f, "prompt {} ({:?}{dots}): {}", self.line, &self.text[..shown], self.reason)
    }
}

/// How the client goes about it.
pub(crate) struct Manner {
    pub(crate) max_tokens: u32,
    /// How long to wait for a first worker, and for the next piece of an answer.
    pub(crate) timeout: Duration,
}

/// Asks every line of `prompts` that is not blank, and gives those that were not answered.
pub(crate) fn run(
    name: &str,
    prompts: impl BufRead,
    manner: &Manner,
    log: Log,
) -> Result<Vec<Unanswered>, Box<dyn Error>> {
    let store = store::open_or_create(name)?;
    let _own_keys = OwnKeys::new(&store)?;
    let mut client = Client::new(&store, manner, log)?;
    let mut unanswered = Vec::new();
    for (line, bytes) in (1..).zip(prompts.split(b'\n')) {
        let bytes = bytes.map_err(|error| format!("cannot read the prompts: {error}"))?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.is_empty() {
            continue;
        }
        if str::from_utf8(&bytes).is_err() {
            let reason = "it is not UTF-8".to_owned();
            unanswered.push(Unanswered { line, text, reason });
            continue;
        }
        match client.ask(&text)? {
            Outcome::Answered => {}
            Outcome::Failed(reason) => {
                eprintln!("chat: {reason}");
                unanswered.push(Unanswered { line, text, reason });
            }
        }
    }
    Ok(unanswered)
}

struct Client<'a> {
    store: &'a Store,
    manner: &'a Manner,
    log: Log,
    me: Address,
    component: String,
    presences: Bus<Presence>,
    prompts: Publisher<Prompt>,
    answers: Subscriber<Token>,
    /// Counts the prompts, so that several workers take turns.
    turn: usize,
    /// How long to look for a worker when there is none.
    patience: Duration,
}

/// What became of a prompt.
enum Outcome {
    Answered,
    Failed(String),
}

/// What became of one attempt.
enum Attempt {
    Answered,
    /// Asking again will not help.
    Refused(String),
    /// Another worker may do better.
    Lost(String),
}

impl<'a> Client<'a> {
    fn new(store: &'a Store, manner: &'a Manner, log: Log) -> Result<Self, Box<dyn Error>> {
        let me: Address = store.participant().into();
        let component = component("client", me);
        let answers = Bus::<Token>::on(store.clone()).subscribe(&answer_key(me))?;
        let prompts = Bus::<Prompt>::on(store.clone()).publisher(PROMPTS)?.from(&component);
        let presences = Bus::on(store.clone());
        let turn = me.id as usize;
        Ok(Self { store, manner, log, me, component, presences, prompts, answers, turn, patience: manner.timeout })
    }

    /// Asks until the prompt is answered, or there is nobody left to ask.
    fn ask(&mut self, text: &str) -> Result<Outcome, Box<dyn Error>> {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let Some(worker) = self.find_worker()? else {
                let nobody = "no worker is there to answer: start one with --role worker".to_owned();
                return Ok(Outcome::Failed(if reason.is_empty() { nobody } else { reason }));
            };
            match self.ask_once(text, &worker)? {
                Attempt::Answered => return Ok(Outcome::Answered),
                Attempt::Refused(reason) => return Ok(Outcome::Failed(reason)),
                Attempt::Lost(why) => {
                    self.log.broken_off()?;
                    eprintln!("chat: {why}");
                    reason = why;
                }
            }
        }
        Ok(Outcome::Failed(reason))
    }

    fn ask_once(&mut self, text: &str, worker: &Presence) -> Result<Attempt, Box<dyn Error>> {
        let name = component("worker", worker.worker);
        let prompt = Prompt {
            text: text.to_owned(),
            max_tokens: self.manner.max_tokens,
            reply_to: self.answers.key().to_owned(),
            pid: std::process::id(),
            client: self.me,
        };
        self.prompts.set_to(&name);
        let sent = match self.prompts.publish(&prompt) {
            Ok(sent) => sent,
            Err(error) => return Ok(Attempt::Refused(error.to_string())),
        };
        self.log.sent(sent, &self.component, &prompt)?;
        let mut expected = 0;
        let mut heard_at = Instant::now();
        loop {
            match self.answers.recv_timeout(LOOK_AROUND) {
                // Late words of a worker that was given up.
                Ok(Some(token)) if token.id() != sent.id => {}
                Ok(Some(token)) => {
                    heard_at = Instant::now();
                    if token.seq() != expected {
                        let gap = format!("{name} sent piece {} where {expected} was due", token.seq());
                        return Ok(Attempt::Lost(gap));
                    }
                    expected += 1;
                    self.log.received(&token)?;
                    if token.eof() {
                        return Ok(Attempt::Answered);
                    }
                }
                Ok(None) if store::living(self.store, worker.worker)?.is_none() => {
                    // What it published before it died is in the store: first all of that.
                    if self.answers.is_behind() {
                        continue;
                    }
                    let when = if expected == 0 { "before it answered" } else { "in the middle of its answer" };
                    return Ok(Attempt::Lost(format!("{name} (pid {}) died {when}", worker.pid)));
                }
                Ok(None) if heard_at.elapsed() > self.manner.timeout => {
                    let silence = humantime::format_duration(self.manner.timeout);
                    return Ok(Attempt::Lost(format!("{name} (pid {}) has been silent for {silence}", worker.pid)));
                }
                Ok(None) => {}
                Err(RecvError::Fault(fault)) if fault.id() == sent.id => {
                    self.log.fault(&fault, worker.pid)?;
                    return Ok(Attempt::Refused(format!("{name} reports {}", **fault)));
                }
                Err(RecvError::Fault(_)) => {}
                Err(RecvError::Lagged(missed)) => {
                    return Ok(Attempt::Lost(format!(
                        "{missed} pieces of the answer were overwritten before they were read"
                    )));
                }
                Err(error) => return Ok(Attempt::Lost(error.to_string())),
            }
        }
    }

    /// A worker that is alive; waits for the first one, if there was none yet.
    fn find_worker(&mut self) -> Result<Option<Presence>, Box<dyn Error>> {
        let since = Instant::now();
        loop {
            let mut workers = self.living_workers()?;
            if !workers.is_empty() {
                self.patience = PATIENCE_FOR_ANOTHER;
                self.turn += 1;
                return Ok(Some(workers.swap_remove(self.turn % workers.len())));
            }
            if since.elapsed() >= self.patience {
                // Nobody came: the next prompt does not wait for that again.
                self.patience = Duration::ZERO;
                return Ok(None);
            }
            std::thread::sleep(LOOK_AROUND.min(self.patience));
        }
    }

    fn living_workers(&self) -> Result<Vec<Presence>, Box<dyn Error>> {
        let living = self.store.participants()?;
        let mut workers = Vec::new();
        for key in self.store.keys().iter().filter(|key| key.starts_with(WORKERS)) {
            // A presence that cannot be read is of another version of this program, or just removed.
            if let Ok(Some(presence)) = self.presences.get(key)
                && living.iter().any(|participant| presence.worker.is_of(participant))
            {
                workers.push(presence.into_inner());
            }
        }
        Ok(workers)
    }
}

/// Whether an error only says that nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
