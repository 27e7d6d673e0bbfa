//! Messages: publishers, lossless subscribers, and subscribers that may lag.
//!
//! A lossless subscriber must receive every version; publishing fails while it is too far behind. A
//! subscriber that lags must learn the exact number of messages that it missed.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use splinter_bus::store::SetError;
use splinter_bus::{
    Bus, PublishError, Publisher, Received, RecvError, Start, SubscribeError, SubscribeOptions, Subscriber,
};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::tally::Kind;
use crate::value::{self, Origin, Proof};
use crate::witness::Witness;

/// How long a publisher waits for free space, if it waits.
const PUBLISH_TIMEOUT: Duration = Duration::from_micros(500);
/// How many messages are received in a row.
const RECEIVE_BURST: usize = 32;
/// How many messages a short-lived subscriber receives.
const SHORT_SUBSCRIPTION: usize = 4;

pub(super) struct Logs<'a> {
    arena: &'a Arena,
    bus: Bus<Vec<u8>>,
    me: u64,
    logs: Vec<Log>,
    value: Vec<u8>,
}

struct Log {
    number: u32,
    witness: Witness,
    publisher: Publisher<Vec<u8>>,
    /// How many messages this worker has published.
    sequence: u64,
    lossless: Option<Lossless>,
    lagging: Subscriber<Vec<u8>>,
}

/// A lossless subscriber, and what it must receive next.
struct Lossless {
    subscriber: Subscriber<Vec<u8>>,
    next: u64,
    /// The next sequence number of each publisher. A refused message is published again with the
    /// same number, so there are no gaps.
    sequences: HashMap<u64, u64>,
}

impl<'a> Logs<'a> {
    pub(super) fn new(arena: &'a Arena, bus: &Bus<Vec<u8>>, me: u64) -> Result<Self, Box<dyn Error>> {
        let logs = (0..arena.keys).map(|key| -> Result<Log, Box<dyn Error>> {
            let witness = Witness::new(arena, Sort::Log, key)?;
            let (publisher, lagging) = (bus.publisher(witness.name())?, bus.subscribe(witness.name())?);
            let number = arena.number(Sort::Log, key);
            Ok(Log { number, witness, publisher, sequence: 0, lossless: None, lagging })
        });
        Ok(Self { arena, bus: bus.clone(), me, logs: logs.collect::<Result<_, _>>()?, value: Vec::new() })
    }

    pub(super) fn step(&mut self, random: &mut Random, recorder: &mut Recorder) {
        let log = random.below(self.logs.len());
        let outcome = match random.below(64) {
            0..12 => self.publish(log, random, recorder),
            12..16 => self.publish_loan(log, random, recorder),
            16 => self.subscribe(log, random, recorder),
            // Rare, so that some subscribers live long.
            17 if random.once_in(8) => {
                self.logs[log].lossless = None;
                Ok(())
            }
            18..22 => self.logs[log].receive_lagging(recorder),
            22..25 => self.subscribe_briefly(log, recorder),
            _ => self.receive(log, random.once_in(4), recorder),
        };
        recorder.note(outcome);
    }

    fn next_value(&mut self, log: usize, random: &mut Random) {
        let Log { number, sequence, .. } = self.logs[log];
        self.value.resize(self.arena.length(random), 0);
        value::fill(&mut self.value, Origin { key: number, writer: self.me, sequence });
    }

    fn publish(&mut self, log: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        self.next_value(log, random);
        let publisher = &mut self.logs[log].publisher;
        let waits = random.once_in(4);
        let sent = recorder.tallies.time(Kind::Publish, || {
            if waits { publisher.publish_timeout(&self.value, PUBLISH_TIMEOUT) } else { publisher.publish(&self.value) }
        });
        self.logs[log].published(Kind::Publish, sent.map(|sent| sent.version), &self.value, recorder)
    }

    fn publish_loan(&mut self, log: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        self.next_value(log, random);
        let publisher = &mut self.logs[log].publisher;
        let sent = recorder.tallies.time(Kind::PublishLoan, || {
            let mut loan = publisher.loan_bytes(self.value.len())?;
            loan.copy_from_slice(&self.value);
            loan.send()
        });
        self.logs[log].published(Kind::PublishLoan, sent.map(|sent| sent.version), &self.value, recorder)
    }

    fn subscribe(&mut self, log: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let start = [Start::Next, Start::Newest, Start::Oldest][random.below(3)];
        match &mut self.logs[log] {
            log if log.lossless.is_none() => log.subscribe(&self.bus, start, recorder),
            _ => Ok(()),
        }
    }

    /// Subscribes, receives the oldest messages, and unsubscribes.
    ///
    /// Writers may be about to overwrite these messages.
    fn subscribe_briefly(&mut self, log: usize, recorder: &mut Recorder) -> Result<(), Defect> {
        let log = &mut self.logs[log];
        let long_lived = log.lossless.take();
        let mut result = log.subscribe(&self.bus, Start::Oldest, recorder);
        for _ in 0..SHORT_SUBSCRIPTION {
            if result.is_ok() {
                result = log.receive(false, recorder).map(drop);
            }
        }
        log.lossless = long_lived;
        result
    }

    fn receive(&mut self, log: usize, in_place: bool, recorder: &mut Recorder) -> Result<(), Defect> {
        for _ in 0..RECEIVE_BURST {
            if !self.logs[log].receive(in_place, recorder)? {
                break;
            }
        }
        Ok(())
    }

    /// Receives all messages that are available now.
    pub(super) fn receive_all(&mut self, recorder: &mut Recorder) {
        for log in &mut self.logs {
            loop {
                let received = log.receive(false, recorder);
                if recorder.note(received) != Some(true) {
                    break;
                }
            }
        }
    }

    /// Receives the rest, after all workers have stopped publishing.
    ///
    /// Then lossless subscribers must have received the newest version.
    pub(super) fn finish(&mut self, recorder: &mut Recorder) {
        self.receive_all(recorder);
        for log in &mut self.logs {
            let newest = self.bus.store().slot_snapshot(log.witness.name());
            let newest = recorder.note(newest.map_err(|error| Defect::failed(log.witness.name(), "snapshot", &error)));
            if let (Some(lossless), Some(Some(newest))) = (&log.lossless, newest)
                && lossless.next != newest.version + 1
            {
                let what = format!(
                    "the newest version is {}, but the next one to receive is {}",
                    newest.version, lossless.next
                );
                recorder.defect(Defect::new(Fault::LostMessage, log.witness.name(), newest.version, what));
            }
            log.lossless = None;
        }
    }
}

impl Log {
    fn published(
        &mut self,
        kind: Kind,
        sent: Result<u64, PublishError>,
        value: &[u8],
        recorder: &mut Recorder,
    ) -> Result<(), Defect> {
        match sent {
            Ok(version) => {
                self.sequence += 1;
                self.read(version, value).map(drop)
            }
            Err(PublishError::Set(SetError::Backpressure(_))) => {
                recorder.tallies.refused(kind);
                Ok(())
            }
            Err(error) => Err(Defect::failed(self.witness.name(), kind.name(), &error)),
        }
    }

    fn read(&mut self, version: u64, value: &[u8]) -> Result<Proof, Defect> {
        let proof = value::check(value, self.number, self.witness.name(), version)?;
        self.witness.observe(version, &proof)?;
        Ok(proof)
    }

    fn subscribe(&mut self, bus: &Bus<Vec<u8>>, start: Start, recorder: &mut Recorder) -> Result<(), Defect> {
        let options = SubscribeOptions::new().lossless().start(start);
        match recorder.tallies.time(Kind::Subscribe, || bus.subscribe_with(self.witness.name(), &options)) {
            Ok(subscriber) => {
                let next = subscriber.next_version();
                self.lossless = Some(Lossless { subscriber, next, sequences: HashMap::new() });
                Ok(())
            }
            // Cursors of crashed participants must be reclaimed when they are needed.
            Err(error @ SubscribeError::TooManyLossless { .. }) => Err(Defect::new(
                Fault::Leak,
                self.witness.name(),
                0,
                format!("cursors of crashed participants were not reclaimed: {error}"),
            )),
            Err(error) => Err(Defect::failed(self.witness.name(), "subscribe", &error)),
        }
    }

    /// Receives one message of the lossless subscriber. Returns whether there was one.
    fn receive(&mut self, in_place: bool, recorder: &mut Recorder) -> Result<bool, Defect> {
        let Some(mut lossless) = self.lossless.take() else { return Ok(false) };
        let start = Instant::now();
        let (version, value, kind) = if in_place {
            match lossless.subscriber.try_recv_sample() {
                Ok(Some(sample)) => (sample.version(), sample.payload().to_vec(), Kind::ReceiveSample),
                Ok(None) => return self.keep(lossless),
                Err(error) => return Err(self.receive_defect(&error)),
            }
        } else {
            match lossless.subscriber.try_recv() {
                Ok(Some(received)) => (received.version(), Received::into_inner(received), Kind::Receive),
                Ok(None) => return self.keep(lossless),
                Err(error) => return Err(self.receive_defect(&error)),
            }
        };
        recorder.tallies.done(kind, start.elapsed());
        let proof = self.read(version, &value)?;
        self.expect(&mut lossless, version, proof.origin)?;
        self.lossless = Some(lossless);
        Ok(true)
    }

    fn keep(&mut self, lossless: Lossless) -> Result<bool, Defect> {
        self.lossless = Some(lossless);
        Ok(false)
    }

    /// Checks that this is the next version, and the next message of its publisher.
    fn expect(&self, lossless: &mut Lossless, version: u64, origin: Origin) -> Result<(), Defect> {
        if version != lossless.next {
            let what = format!("received instead of version {}", lossless.next);
            return Err(Defect::new(Fault::LostMessage, self.witness.name(), version, what));
        }
        lossless.next += 1;
        let next = lossless.sequences.insert(origin.writer, origin.sequence + 1);
        match next {
            Some(next) if next != origin.sequence => {
                let what = format!("expected message {next} of its publisher, got {}: {origin:?}", origin.sequence);
                Err(Defect::new(Fault::LostMessage, self.witness.name(), version, what))
            }
            _ => Ok(()),
        }
    }

    /// Returns the defect of a receive error. No error is expected here.
    fn receive_defect(&self, error: &RecvError) -> Defect {
        let name = self.witness.name();
        match *error {
            RecvError::Lagged(_) => {
                Defect::new(Fault::LostMessage, name, 0, format!("reported by a lossless subscriber: {error}"))
            }
            // The checksum of the message detected what the store did not.
            RecvError::Frame { version, ref source, .. } => Defect::new(Fault::Torn, name, version, source),
            _ => Defect::failed(name, "receive", error),
        }
    }

    /// Receives with a subscriber that may lag.
    fn receive_lagging(&mut self, recorder: &mut Recorder) -> Result<(), Defect> {
        for _ in 0..RECEIVE_BURST {
            let next = self.lagging.next_version();
            match recorder.tallies.time(Kind::Follow, || self.lagging.try_recv().transpose().ok_or(None)?.map_err(Some))
            {
                Ok(received) if received.version() != next => {
                    let fault = if received.version() < next { Fault::Backwards } else { Fault::LostMessage };
                    let what = format!("expected version {next}, but no missed messages were reported");
                    return Err(Defect::new(fault, self.witness.name(), received.version(), what));
                }
                Ok(received) => drop(self.read(received.version(), &received)?),
                Err(None) => break,
                Err(Some(RecvError::Lagged(missed))) => {
                    recorder.tallies.lagged(Kind::Follow, missed);
                    if self.lagging.next_version() != next + missed {
                        let what = format!(
                            "{missed} missed messages were reported at version {next}, but this version is next"
                        );
                        let next = self.lagging.next_version();
                        return Err(Defect::new(Fault::LostMessage, self.witness.name(), next, what));
                    }
                }
                Err(Some(error)) => return Err(self.receive_defect(&error)),
            }
        }
        Ok(())
    }
}
