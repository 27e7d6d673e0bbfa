//! Untyped values: set, loan, get the newest or an older version, and pin.

use std::io;

use splinter_bus::store::{GetError, Loan, Lookup, Pinned, SetError, Slot, Store};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::tally::Kind;
use crate::value::{self, Origin, Proof};
use crate::witness::Witness;

/// How many pins and how many loans a worker holds at the same time, over all keys.
const MAX_HELD: usize = 3;

/// After how many steps, on average, a worker trims the store.
const TRIM: usize = 2000;

pub(super) struct Values<'a> {
    arena: &'a Arena,
    me: u64,
    store: Store,
    sequence: u64,
    keys: Vec<Key>,
    pins: Vec<(usize, Proof, Pinned)>,
    loans: Vec<(usize, Loan)>,
    buffer: Vec<u8>,
}

struct Key {
    number: u32,
    slot: Slot,
    witness: Witness,
    /// The newest version that was observed. No later read of the newest value may be older.
    newest: u64,
}

impl<'a> Values<'a> {
    pub(super) fn new(arena: &'a Arena, store: &Store, me: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let keys = (0..arena.keys).map(|key| -> Result<Key, Box<dyn std::error::Error>> {
            let witness = Witness::new(arena, Sort::Value, key)?;
            let slot = store.slot(witness.name())?;
            Ok(Key { number: arena.number(Sort::Value, key), slot, witness, newest: 0 })
        });
        let (keys, pins, loans) = (keys.collect::<Result<_, _>>()?, Vec::new(), Vec::new());
        let store = store.clone();
        Ok(Self { arena, me, store, sequence: 0, keys, pins, loans, buffer: Vec::new() })
    }

    pub(super) fn step(&mut self, random: &mut Random, recorder: &mut Recorder) {
        let key = random.below(self.keys.len());
        if random.once_in(TRIM) {
            recorder.note(self.trim());
        }
        let outcome = match random.below(16) {
            0..5 => self.set(key, random, recorder),
            5 => self.set_if(key, random, recorder),
            6..8 => self.get(key, recorder),
            8..10 => self.get_version(key, random, recorder),
            10 => self.pin_newest(key, random, recorder),
            11..14 => self.pin_version(key, random, recorder),
            14 => self.loan(key, random, recorder),
            _ => self.release_some(random, recorder),
        };
        recorder.note(outcome);
    }

    /// Releases all loans and pins.
    pub(super) fn release_all(&mut self, recorder: &mut Recorder) {
        self.loans.clear();
        while let Some((key, proof, pinned)) = self.pins.pop() {
            recorder.note(self.unpin(key, &proof, &pinned));
        }
    }

    fn next_origin(&mut self, key: usize) -> Origin {
        self.sequence += 1;
        Origin { key: self.keys[key].number, writer: self.me, sequence: self.sequence }
    }

    fn set(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let origin = self.next_origin(key);
        self.buffer.resize(self.arena.length(random), 0);
        value::fill(&mut self.buffer, origin);
        let Key { slot, .. } = &self.keys[key];
        match recorder.tallies.time(Kind::Set, || slot.set(&self.buffer)) {
            Ok(version) => self.keys[key].published(version, origin, &self.buffer),
            Err(error) => self.keys[key].refused(Kind::Set, error, recorder),
        }
    }

    /// Publishes after the version that this worker observed last, if it still is the newest.
    fn set_if(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let origin = self.next_origin(key);
        self.buffer.resize(self.arena.length(random), 0);
        value::fill(&mut self.buffer, origin);
        let key = &mut self.keys[key];
        let expected = key.newest.max(key.slot.version());
        match recorder.tallies.time_if(Kind::SetIf, Result::is_ok, || key.slot.set_if_version(expected, &self.buffer)) {
            Ok(Ok(version)) => key.published(version, origin, &self.buffer),
            Ok(Err(newest)) if newest > expected => {
                recorder.tallies.lagged(Kind::SetIf, 1);
                Ok(())
            }
            Ok(Err(newest)) => {
                let what = format!("refused, although it was expected and is the newest: {newest}");
                Err(Defect::new(Fault::Backwards, key.witness.name(), expected, what))
            }
            Err(error) => key.refused(Kind::SetIf, error, recorder),
        }
    }

    fn trim(&self) -> Result<(), Defect> {
        self.store.trim().map(drop).map_err(|error| Defect::failed("all keys", "trim", &error))
    }

    fn get(&mut self, key: usize, recorder: &mut Recorder) -> Result<(), Defect> {
        let key = &mut self.keys[key];
        let least = key.newest.max(key.slot.version());
        match recorder.tallies.time(Kind::Get, || key.slot.get_into(&mut self.buffer)) {
            Ok(Some(version)) => key.read_newest(version, least, &self.buffer),
            Ok(None) => Err(key.no_newest(least)),
            Err(error) => Err(Defect::failed(key.witness.name(), "get", &error)),
        }
    }

    fn get_version(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let key = &mut self.keys[key];
        let version = key.some_version(random)?;
        match recorder.tallies.time_if(
            Kind::GetVersion,
            |found| *found == Lookup::Found(()),
            || key.slot.get_version_into(version, &mut self.buffer),
        ) {
            Ok(Lookup::Found(())) => key.read(version, &self.buffer).map(drop),
            Ok(Lookup::Gone) => {
                recorder.tallies.lagged(Kind::GetVersion, 1);
                Ok(())
            }
            Ok(Lookup::NotYet) => {
                let what = "a published version was reported as not published yet";
                Err(Defect::new(Fault::Backwards, key.witness.name(), version, what))
            }
            Err(error) => Err(Defect::failed(key.witness.name(), "get version", &error)),
        }
    }

    fn pin_newest(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        self.release_excess_pin(random)?;
        let state = &mut self.keys[key];
        let least = state.newest.max(state.slot.version());
        match recorder.tallies.time(Kind::Pin, || state.slot.pin()) {
            Ok(Some(pinned)) => {
                state.read_newest(pinned.version(), least, &pinned)?;
                self.hold(key, pinned)
            }
            Ok(None) => Err(state.no_newest(least)),
            Err(error) => Err(Defect::failed(state.witness.name(), "pin", &error)),
        }
    }

    fn pin_version(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        self.release_excess_pin(random)?;
        let state = &mut self.keys[key];
        let version = state.some_version(random)?;
        match recorder.tallies.time_if(Kind::PinVersion, Option::is_some, || state.slot.pin_version(version)) {
            Ok(Some(pinned)) if pinned.version() == version => self.hold(key, pinned),
            Ok(Some(pinned)) => {
                let what = format!("requested, but version {} was pinned", pinned.version());
                Err(Defect::new(Fault::Ambiguous, state.witness.name(), version, what))
            }
            // Claimed by a writer that was stopped or killed before it started to write.
            Ok(None) | Err(GetError::Claimed { .. }) => {
                recorder.tallies.lagged(Kind::PinVersion, 1);
                Ok(())
            }
            Err(error) => Err(Defect::failed(state.witness.name(), "pin version", &error)),
        }
    }

    /// Releases a pin if the maximum is reached.
    fn release_excess_pin(&mut self, random: &mut Random) -> Result<(), Defect> {
        if self.pins.len() < MAX_HELD {
            return Ok(());
        }
        let (key, proof, pinned) = self.pins.swap_remove(random.below(MAX_HELD));
        self.unpin(key, &proof, &pinned)
    }

    fn hold(&mut self, key: usize, pinned: Pinned) -> Result<(), Defect> {
        let proof = self.keys[key].read(pinned.version(), &pinned)?;
        self.pins.push((key, proof, pinned));
        Ok(())
    }

    /// Releases a pin, after checking that the value has not changed.
    fn unpin(&mut self, key: usize, proof: &Proof, pinned: &Pinned) -> Result<(), Defect> {
        let now = self.keys[key].read(pinned.version(), pinned)?;
        if now == *proof {
            return Ok(());
        }
        let what = format!("pinned as {:?}, but changed to {:?}", proof.origin, now.origin);
        Err(Defect::new(Fault::Torn, self.keys[key].witness.name(), pinned.version(), what))
    }

    fn loan(&mut self, key: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        if self.loans.len() == MAX_HELD {
            return Ok(());
        }
        let len = self.arena.length(random);
        match self.keys[key].slot.loan(len) {
            Ok(mut loan) => {
                let nonzero = loan.iter().position(|&byte| byte != 0);
                value::fill(&mut loan, self.next_origin(key));
                self.loans.push((key, loan));
                match nonzero {
                    None => Ok(()),
                    Some(offset) => {
                        let name = self.keys[key].witness.name();
                        let defect = Defect::new(Fault::Torn, name, 0, "the memory of a loan was not zeroed");
                        Err(Defect { offset: Some(offset), ..defect })
                    }
                }
            }
            Err(error) => self.keys[key].refused(Kind::Loan, error, recorder),
        }
    }

    /// Releases a pin, or sends or drops a loan.
    fn release_some(&mut self, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let pins = self.pins.len();
        if pins > 0 && random.once_in(2) {
            let (key, proof, pinned) = self.pins.swap_remove(random.below(pins));
            return self.unpin(key, &proof, &pinned);
        }
        if self.loans.is_empty() {
            return Ok(());
        }
        let (key, loan) = self.loans.swap_remove(random.below(self.loans.len()));
        if random.once_in(3) {
            return Ok(());
        }
        let key = &mut self.keys[key];
        // No other writer may have changed it.
        let proof = value::check(&loan, key.number, key.witness.name(), 0)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(&loan);
        match recorder.tallies.time(Kind::Loan, || loan.send()) {
            Ok(version) => key.published(version, proof.origin, &self.buffer),
            Err(error) => key.refused(Kind::Loan, error, recorder),
        }
    }
}

impl Key {
    /// Chooses a published version, which may have been overwritten.
    ///
    /// Half of the time it is the oldest one, which writers are about to overwrite.
    fn some_version(&self, random: &mut Random) -> Result<u64, Defect> {
        if random.once_in(2) {
            let oldest = self.slot.oldest_from(0);
            let oldest = oldest.map_err(|error| Defect::failed(self.witness.name(), "oldest", &error))?;
            return Ok(oldest.unwrap_or_else(|| self.slot.version()));
        }
        let (newest, first) = (self.slot.version(), self.slot.first_version());
        let back = random.below(self.slot.cells().total() as usize) as u64;
        if newest < self.newest {
            return Err(self.backwards(newest, self.newest));
        }
        Ok(newest.saturating_sub(back).max(first))
    }

    fn read(&mut self, version: u64, value: &[u8]) -> Result<Proof, Defect> {
        let proof = value::check(value, self.number, self.witness.name(), version)?;
        self.witness.observe(version, &proof)?;
        Ok(proof)
    }

    fn read_newest(&mut self, version: u64, least: u64, value: &[u8]) -> Result<(), Defect> {
        self.read(version, value)?;
        if version < least {
            return Err(self.backwards(version, least));
        }
        self.newest = version;
        Ok(())
    }

    fn backwards(&self, version: u64, least: u64) -> Defect {
        let what = format!("read as the newest value after version {least} was observed");
        Defect::new(Fault::Backwards, self.witness.name(), version, what)
    }

    fn no_newest(&self, least: u64) -> Defect {
        Defect::new(Fault::Backwards, self.witness.name(), least, "the key has no value any more")
    }

    fn published(&mut self, version: u64, origin: Origin, value: &[u8]) -> Result<(), Defect> {
        if version <= self.newest {
            let what = format!("published after version {} was observed", self.newest);
            return Err(Defect::new(Fault::Backwards, self.witness.name(), version, what));
        }
        self.newest = version;
        let proof = self.read(version, value)?;
        debug_assert_eq!(proof.origin, origin);
        Ok(())
    }

    fn refused(&self, kind: Kind, error: SetError, recorder: &mut Recorder) -> Result<(), Defect> {
        if !matches!(error, SetError::Backpressure(_)) {
            return Err(Defect::failed(self.witness.name(), kind.name(), &error));
        }
        recorder.tallies.refused(kind);
        Ok(())
    }
}

/// Sets a first value of each key, so that readers always find one.
pub(crate) fn set_initial(arena: &Arena, store: &Store) -> io::Result<()> {
    let mut value = vec![0; arena.sizes.start];
    for key in 0..arena.keys {
        value::fill(&mut value, Origin { key: arena.number(Sort::Value, key), writer: 0, sequence: 0 });
        store.set(&arena.name(Sort::Value, key), &value).map_err(io::Error::other)?;
    }
    Ok(())
}
