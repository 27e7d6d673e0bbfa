//! The client: sends its prompts one by one, and prints the answers while they arrive.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};
use std::time::{Duration, Instant};

use splinter_bus::store::Store;
use splinter_bus::{Bus, Publisher, Received, RecvError, Subscriber};

use crate::log::Log;
use crate::messages::{Address, PROMPTS, Presence, Prompt, Token, WORKERS, answer_key, component};
use crate::store::{self, OwnKeys};

/// After this silence the client checks whether the worker's process is still alive.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// How long the client waits for another worker, after it has found one before.
const NEXT_WORKER_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a prompt is sent, each time to a different worker if possible.
const ATTEMPTS: u32 = 3;

/// A prompt without a complete answer.
pub(crate) struct Unanswered {
    /// Its line in the input, starting at 1.
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

/// The limits of a request.
pub(crate) struct Limits {
    pub(crate) max_tokens: u32,
    /// How long to wait for the first worker, and for each piece of an answer.
    pub(crate) timeout: Duration,
}

/// Sends each nonblank line of `prompts`, and returns the prompts without a complete answer.
pub(crate) fn run(
    name: &str,
    prompts: impl BufRead,
    limits: &Limits,
    log: Log,
) -> Result<Vec<Unanswered>, Box<dyn Error>> {
    let store = store::open_or_create(name)?;
    let _own_keys = OwnKeys::new(&store)?;
    let mut client = Client::new(&store, limits, log)?;
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
    limits: &'a Limits,
    log: Log,
    me: Address,
    component: String,
    presences: Bus<Presence>,
    prompts: Publisher<Prompt>,
    answers: Subscriber<Token>,
    /// Selects the worker (round robin).
    turn: usize,
    /// How long to wait if there is no worker.
    worker_timeout: Duration,
}

/// The outcome of a prompt.
enum Outcome {
    Answered,
    Failed(String),
}

/// The outcome of one attempt.
enum Attempt {
    Answered,
    /// A retry cannot succeed.
    Refused(String),
    /// The answer is incomplete. Another worker may succeed.
    Lost(String),
}

impl<'a> Client<'a> {
    fn new(store: &'a Store, limits: &'a Limits, log: Log) -> Result<Self, Box<dyn Error>> {
        let me: Address = store.participant().into();
        let component = component("client", me);
        let answers = Bus::<Token>::on(store.clone()).subscribe(&answer_key(me))?;
        let prompts = Bus::<Prompt>::on(store.clone()).publisher(PROMPTS)?.from(&component);
        let presences = Bus::on(store.clone());
        let turn = me.id as usize;
        Ok(Self {
            store,
            limits,
            log,
            me,
            component,
            presences,
            prompts,
            answers,
            turn,
            worker_timeout: limits.timeout,
        })
    }

    /// Sends a prompt to workers until one answers or the attempts are used up.
    fn ask(&mut self, text: &str) -> Result<Outcome, Box<dyn Error>> {
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let Some(worker) = self.find_worker()? else {
                let no_worker = "no worker is running: start one with --role worker".to_owned();
                return Ok(Outcome::Failed(if reason.is_empty() { no_worker } else { reason }));
            };
            match self.ask_once(text, &worker)? {
                Attempt::Answered => return Ok(Outcome::Answered),
                Attempt::Refused(reason) => return Ok(Outcome::Failed(reason)),
                Attempt::Lost(lost) => {
                    self.log.interrupted()?;
                    eprintln!("chat: {lost}");
                    reason = lost;
                }
            }
        }
        Ok(Outcome::Failed(reason))
    }

    fn ask_once(&mut self, text: &str, worker: &Presence) -> Result<Attempt, Box<dyn Error>> {
        let name = component("worker", worker.worker);
        let prompt = Prompt {
            text: text.to_owned(),
            max_tokens: self.limits.max_tokens,
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
        let mut last_received = Instant::now();
        loop {
            match self.answers.recv_timeout(CHECK_INTERVAL) {
                // Part of an earlier attempt, from a worker that was slow.
                Ok(Some(token)) if token.envelope().id() != sent.id => {}
                Ok(Some(token)) => {
                    last_received = Instant::now();
                    if token.envelope().seq() != expected {
                        let gap = format!("{name} sent piece {} instead of piece {expected}", token.envelope().seq());
                        return Ok(Attempt::Lost(gap));
                    }
                    expected += 1;
                    self.log.received(&token)?;
                    if token.envelope().eof() {
                        return Ok(Attempt::Answered);
                    }
                }
                Ok(None) if store::find_participant(self.store, worker.worker)?.is_none() => {
                    // Messages that it published before the crash are still in the store.
                    if self.answers.is_behind() {
                        continue;
                    }
                    let when = if expected == 0 { "before it answered" } else { "during its answer" };
                    return Ok(Attempt::Lost(format!("{name} (pid {}) ended {when}", worker.pid)));
                }
                Ok(None) if last_received.elapsed() > self.limits.timeout => {
                    let silence = humantime::format_duration(self.limits.timeout);
                    return Ok(Attempt::Lost(format!("{name} (pid {}) sent nothing for {silence}", worker.pid)));
                }
                Ok(None) => {}
                Err(RecvError::Fault(fault)) if fault.envelope().id() == sent.id => {
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

    /// Returns a running worker. Waits for one if there is none.
    fn find_worker(&mut self) -> Result<Option<Presence>, Box<dyn Error>> {
        let since = Instant::now();
        loop {
            let mut workers = self.running_workers()?;
            if !workers.is_empty() {
                self.worker_timeout = NEXT_WORKER_TIMEOUT;
                self.turn += 1;
                return Ok(Some(workers.swap_remove(self.turn % workers.len())));
            }
            if since.elapsed() >= self.worker_timeout {
                // The next prompt does not wait a second time.
                self.worker_timeout = Duration::ZERO;
                return Ok(None);
            }
            std::thread::sleep(CHECK_INTERVAL.min(self.worker_timeout));
        }
    }

    fn running_workers(&self) -> Result<Vec<Presence>, Box<dyn Error>> {
        let participants = self.store.participants()?;
        let mut workers = Vec::new();
        for key in self.store.keys().iter().filter(|key| key.starts_with(WORKERS)) {
            // An unreadable entry was just removed, or is from another version of this program.
            if let Ok(Some(presence)) = self.presences.get(key)
                && participants.iter().any(|participant| presence.worker.matches(participant))
            {
                workers.push(Received::into_inner(presence));
            }
        }
        Ok(workers)
    }
}

/// Whether an error means that the reader of our standard output has gone.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
