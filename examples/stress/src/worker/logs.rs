//! Messages that must not be lost: publishers who are refused while somebody is behind, and subscribers who receive every version;
//! beside them subscribers who may miss some, and are told how many.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use splinter_bus::{Bus, PublishError, Publisher, RecvError, Start, SubscribeError, SubscribeOptions, Subscriber};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::tally::Kind;
use crate::value::{self, Origin, Proof};
use crate::witness::Witness;

/// How long a publisher waits who waits for room.
const PATIENCE: Duration = Duration::from_micros(500);
/// Messages that are received in a row.
const AT_ONCE: usize = 32;
/// And by those who come for a moment.
const VISIT: usize = 4;

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
    /// How many this worker has published.
    sequence: u64,
    lossless: Option<Lossless>,
    follower: Subscriber<Vec<u8>>,
}

/// A lossless subscriber, and what it is to receive next.
struct Lossless {
    subscriber: Subscriber<Vec<u8>>,
    next: u64,
    /// Of each publisher: what is refused is published again under the same number, so there are no gaps.
    sequences: HashMap<u64, u64>,
}

impl<'a> Logs<'a> {
    pub(super) fn new(arena: &'a Arena, bus: &Bus<Vec<u8>>, me: u64) -> Result<Self, Box<dyn Error>> {
        let logs = (0..arena.keys).map(|key| -> Result<Log, Box<dyn Error>> {
            let witness = Witness::new(arena, Sort::Log, key)?;
            let (publisher, follower) = (bus.publisher(witness.name())?, bus.subscribe(witness.name())?);
            let number = arena.number(Sort::Log, key);
            Ok(Log { number, witness, publisher, sequence: 0, lossless: None, follower })
        });
        Ok(Self { arena, bus: bus.clone(), me, logs: logs.collect::<Result<_, _>>()?, value: Vec::new() })
    }

    pub(super) fn step(&mut self, random: &mut Random, record: &mut Recorder) {
        let log = random.below(self.logs.len());
        let outcome = match random.below(64) {
            0..12 => self.publish(log, random, record),
            12..16 => self.publish_loan(log, random, record),
            16 => self.begin(log, random, record),
            // Seldom, so that some are there for long.
            17 if random.once_in(8) => {
                self.logs[log].lossless = None;
                Ok(())
            }
            18..22 => self.logs[log].follow(record),
            22..25 => self.visit(log, record),
            _ => self.receive(log, random.once_in(4), record),
        };
        record.note(outcome);
    }

    fn next_value(&mut self, log: usize, random: &mut Random) {
        let Log { number, sequence, .. } = self.logs[log];
        self.value.resize(self.arena.length(random), 0);
        value::fill(&mut self.value, Origin { key: number, writer: self.me, sequence });
    }

    fn publish(&mut self, log: usize, random: &mut Random, record: &mut Recorder) -> Result<(), Defect> {
        self.next_value(log, random);
        let publisher = &mut self.logs[log].publisher;
        let waits = random.once_in(4);
        let sent = record.tallies.time(Kind::Publish, || {
            if waits { publisher.publish_timeout(&self.value, PATIENCE) } else { publisher.publish(&self.value) }
        });
        self.logs[log].published(Kind::Publish, sent.map(|sent| sent.version), &self.value, record)
    }

    fn publish_loan(&mut self, log: usize, random: &mut Random, record: &mut Recorder) -> Result<(), Defect> {
        self.next_value(log, random);
        let publisher = &mut self.logs[log].publisher;
        let sent = record.tallies.time(Kind::PublishLoan, || {
            let mut loan = publisher.loan_bytes(self.value.len())?;
            loan.copy_from_slice(&self.value);
            loan.send()
        });
        self.logs[log].published(Kind::PublishLoan, sent.map(|sent| sent.version), &self.value, record)
    }

    fn begin(&mut self, log: usize, random: &mut Random, record: &mut Recorder) -> Result<(), Defect> {
        let start = [Start::Next, Start::Newest, Start::Oldest][random.below(3)];
        match &mut self.logs[log] {
            log if log.lossless.is_none() => log.subscribe(&self.bus, start, record),
            _ => Ok(()),
        }
    }

    /// Comes, receives what is kept at that moment, which writers may be about to overwrite, and goes.
    fn visit(&mut self, log: usize, record: &mut Recorder) -> Result<(), Defect> {
        let log = &mut self.logs[log];
        let stays = log.lossless.take();
        let mut visited = log.subscribe(&self.bus, Start::Oldest, record);
        for _ in 0..VISIT {
            if visited.is_ok() {
                visited = log.receive(false, record).map(drop);
            }
        }
        log.lossless = stays;
        visited
    }

    fn receive(&mut self, log: usize, in_place: bool, record: &mut Recorder) -> Result<(), Defect> {
        for _ in 0..AT_ONCE {
            if !self.logs[log].receive(in_place, record)? {
                break;
            }
        }
        Ok(())
    }

    /// Receives what there is now.
    pub(super) fn receive_all(&mut self, record: &mut Recorder) {
        for log in &mut self.logs {
            loop {
                let received = log.receive(false, record);
                if record.note(received) != Some(true) {
                    break;
                }
            }
        }
    }

    /// Nobody publishes any more: whoever is to receive everything has received the newest afterwards.
    pub(super) fn finish(&mut self, record: &mut Recorder) {
        self.receive_all(record);
        for log in &mut self.logs {
            let newest = self.bus.store().slot_snapshot(log.witness.name());
            let newest = record.note(newest.map_err(|error| Defect::failed(log.witness.name(), "snapshot", &error)));
            if let (Some(lossless), Some(Some(newest))) = (&log.lossless, newest)
                && lossless.next != newest.version + 1
            {
                let what = format!("the newest is {}, and {} was to be received next", newest.version, lossless.next);
                record.defect(Defect::new(Fault::LostMessage, log.witness.name(), newest.version, what));
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
        record: &mut Recorder,
    ) -> Result<(), Defect> {
        match sent {
            Ok(version) => {
                self.sequence += 1;
                self.read(version, value).map(drop)
            }
            Err(PublishError::Backpressure(_)) => {
                record.tallies.refused(kind);
                Ok(())
            }
            Err(error) => Err(Defect::failed(self.witness.name(), kind.name(), &error)),
        }
    }

    fn read(&mut self, version: u64, value: &[u8]) -> Result<Proof, Defect> {
        let proof = value::check(value, self.number, self.witness.name(), version)?;
        self.witness.saw(version, &proof)?;
        Ok(proof)
    }

    fn subscribe(&mut self, bus: &Bus<Vec<u8>>, start: Start, record: &mut Recorder) -> Result<(), Defect> {
        let options = SubscribeOptions::new().lossless().start(start);
        match record.tallies.time(Kind::Subscribe, || bus.subscribe_with(self.witness.name(), &options)) {
            Ok(subscriber) => {
                let next = subscriber.next_version();
                self.lossless = Some(Lossless { subscriber, next, sequences: HashMap::new() });
                Ok(())
            }
            // The places of those who died are taken back when they are needed.
            Err(error @ SubscribeError::TooManyLossless { .. }) => {
                Err(Defect::new(Fault::Leak, self.witness.name(), 0, format!("places of the dead are taken: {error}")))
            }
            Err(error) => Err(Defect::failed(self.witness.name(), "subscribe", &error)),
        }
    }

    /// Receives one message without loss; whether there was one.
    fn receive(&mut self, in_place: bool, record: &mut Recorder) -> Result<bool, Defect> {
        let Some(mut lossless) = self.lossless.take() else { return Ok(false) };
        let start = Instant::now();
        let (version, value, kind) = if in_place {
            match lossless.subscriber.try_recv_sample() {
                Ok(Some(sample)) => (sample.version(), sample.payload().to_vec(), Kind::ReceiveSample),
                Ok(None) => return self.nothing(lossless),
                Err(error) => return Err(self.refused(&error)),
            }
        } else {
            match lossless.subscriber.try_recv() {
                Ok(Some(received)) => (received.version(), received.into_inner(), Kind::Receive),
                Ok(None) => return self.nothing(lossless),
                Err(error) => return Err(self.refused(&error)),
            }
        };
        record.tallies.done(kind, start.elapsed());
        let proof = self.read(version, &value)?;
        self.expect(&mut lossless, version, proof.origin)?;
        self.lossless = Some(lossless);
        Ok(true)
    }

    fn nothing(&mut self, lossless: Lossless) -> Result<bool, Defect> {
        self.lossless = Some(lossless);
        Ok(false)
    }

    /// The next version, and the next of its publisher.
    fn expect(&self, lossless: &mut Lossless, version: u64, origin: Origin) -> Result<(), Defect> {
        if version != lossless.next {
            let what = format!("received instead of version {}", lossless.next);
            return Err(Defect::new(Fault::LostMessage, self.witness.name(), version, what));
        }
        lossless.next += 1;
        let next = lossless.sequences.insert(origin.writer, origin.sequence + 1);
        match next {
            Some(next) if next != origin.sequence => {
                let what = format!("number {} of its publisher came instead of {next}: {origin:?}", origin.sequence);
                Err(Defect::new(Fault::LostMessage, self.witness.name(), version, what))
            }
            _ => Ok(()),
        }
    }

    /// No error is expected: nothing is lost, damaged, or of another type.
    fn refused(&self, error: &RecvError) -> Defect {
        let name = self.witness.name();
        match *error {
            RecvError::Lagged(_) => Defect::new(Fault::LostMessage, name, 0, format!("received without loss: {error}")),
            // The checksum of a message found what the store let through.
            RecvError::Frame { version, ref source, .. } => Defect::new(Fault::Torn, name, version, source),
            _ => Defect::failed(name, "receive", error),
        }
    }

    /// Receives as others do, who may fall behind.
    fn follow(&mut self, record: &mut Recorder) -> Result<(), Defect> {
        for _ in 0..AT_ONCE {
            let next = self.follower.next_version();
            match record.tallies.time(Kind::Follow, || self.follower.try_recv().transpose().ok_or(None)?.map_err(Some))
            {
                Ok(received) if received.version() != next => {
                    let fault = if received.version() < next { Fault::Backwards } else { Fault::LostMessage };
                    let what = format!("received when {next} was to come, and nothing was said to be missed");
                    return Err(Defect::new(fault, self.witness.name(), received.version(), what));
                }
                Ok(received) => drop(self.read(received.version(), &received)?),
                Err(None) => break,
                Err(Some(RecvError::Lagged(missed))) => {
                    record.tallies.lagged(Kind::Follow, missed);
                    if self.follower.next_version() != next + missed {
                        let what = format!("{missed} are said to be missed after {next}, and this comes next");
                        let next = self.follower.next_version();
                        return Err(Defect::new(Fault::LostMessage, self.witness.name(), next, what));
                    }
                }
                Err(Some(error)) => return Err(self.refused(&error)),
            }
        }
        Ok(())
    }
}
