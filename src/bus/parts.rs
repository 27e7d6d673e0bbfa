//! Messages that are larger than a cell: taken apart by their publisher, put together by whoever receives them.
//!
//! What is taken apart is the message's whole frame; each part travels in a frame of its own. A number that all parts of one frame
//! share tells them from those of others, whatever ids these have.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::error::RecvError;
use crate::frame::Frame;
use crate::store::{GetError, Slot};

/// What comes before a part: number of the frame, its length, zeros.
pub(super) const PREFIX_LEN: usize = 16;

/// How many messages are put together at a time: of more, the one that has waited longest is given up.
const MOST_OPEN: usize = 64;

/// What a part's payload begins with.
pub(super) fn prefix(number: u64, total: u32) -> [u8; PREFIX_LEN] {
    let mut prefix = [0; PREFIX_LEN];
    prefix[..8].copy_from_slice(&number.to_le_bytes());
    prefix[8..12].copy_from_slice(&total.to_le_bytes());
    prefix
}

/// The messages of one key that have begun and not ended.
#[derive(Debug)]
pub(super) struct Assembler {
    open: Vec<Assembly>,
    /// The longest wait for a part.
    patience: Duration,
}

#[derive(Debug)]
struct Assembly {
    number: u64,
    id: Uuid,
    from: String,
    total: usize,
    /// The part that is to come next.
    next: u32,
    bytes: Vec<u8>,
    /// When it is to have come.
    deadline: Instant,
}

impl Assembler {
    pub(super) fn new(patience: Duration) -> Self {
        Self { open: Vec::new(), patience }
    }

    /// Takes the next part that was received, and gives the whole frame once it is complete. A part of a message whose beginning was not
    /// received is passed over: it was published before we came, or its loss was told.
    ///
    /// # Errors
    ///
    /// A part is missing, and will not come any more.
    pub(super) fn accept(&mut self, part: &Frame<'_>) -> Result<Option<Vec<u8>>, RecvError> {
        let Some((prefix, bytes)) = part.payload().split_first_chunk::<PREFIX_LEN>() else {
            return Ok(None);
        };
        let number = u64::from_le_bytes(std::array::from_fn(|at| prefix[at]));
        let total = u32::from_le_bytes(std::array::from_fn(|at| prefix[8 + at])) as usize;
        let index = match self.open.iter().position(|assembly| assembly.number == number) {
            Some(index) => index,
            None if part.seq() == 0 => {
                self.open.push(Assembly::new(number, total, part));
                self.open.len() - 1
            }
            None => return Ok(None),
        };
        let assembly = &mut self.open[index];
        let fits = assembly.bytes.len() + bytes.len() <= assembly.total;
        // Parts that bring nothing could go on for ever.
        let idle = bytes.is_empty() && !part.eof();
        if part.seq() != assembly.next || !fits || idle || assembly.total != total {
            return Err(self.open.remove(index).broken());
        }
        assembly.bytes.extend_from_slice(bytes);
        assembly.next += 1;
        assembly.deadline = Instant::now() + patience(part, self.patience);
        if part.eof() {
            let assembly = self.open.remove(index);
            return if assembly.bytes.len() == total { Ok(Some(assembly.bytes)) } else { Err(assembly.broken()) };
        }
        if self.open.len() > MOST_OPEN {
            return Err(self.open.remove(0).broken());
        }
        Ok(None)
    }

    /// When the next part is to have come, if any is to come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.iter().map(|assembly| assembly.deadline).min()
    }

    /// Gives up one message of which nothing has come for too long.
    pub(super) fn overdue(&mut self) -> Option<RecvError> {
        if self.open.is_empty() {
            return None;
        }
        let now = Instant::now();
        let index = self.open.iter().position(|assembly| assembly.deadline <= now)?;
        Some(self.open.remove(index).broken())
    }

    /// Forgets what has begun: its rest will never come.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// No longer than the message is of use.
fn patience(part: &Frame<'_>, patience: Duration) -> Duration {
    part.ttl().map_or(patience, |ttl| patience.min(Duration::from_millis(ttl.into())))
}

impl Assembly {
    fn new(number: u64, total: usize, part: &Frame<'_>) -> Self {
        Self {
            number,
            id: part.id(),
            from: part.from().to_owned(),
            total,
            next: 0,
            bytes: Vec::new(),
            deadline: Instant::now(),
        }
    }

    fn broken(self) -> RecvError {
        RecvError::Incomplete { id: self.id, from: self.from, received: self.bytes.len(), total: self.total }
    }
}

/// What a part is to somebody who wants a message.
#[cold]
pub(super) fn incomplete(part: &Frame<'_>) -> RecvError {
    let received = part.payload().len().saturating_sub(PREFIX_LEN);
    let total = part.payload().get(8..12).map_or(0, |total| u32::from_le_bytes(std::array::from_fn(|at| total[at])));
    RecvError::Incomplete { id: part.id(), from: part.from().to_owned(), received, total: total as usize }
}

/// The newest message that is complete, as a frame, and the version that completed it.
pub(super) fn newest_whole(slot: &Slot) -> Result<Option<(u64, Vec<u8>)>, GetError> {
    let mut assembler = Assembler::new(Duration::MAX / 4);
    let (mut newest, mut frame, mut bytes) = (None, Vec::new(), Vec::new());
    for kept in slot.stored_from(0)? {
        if !slot.copy_stored(kept, &mut bytes)? {
            continue;
        }
        match Frame::parse(&bytes) {
            Ok(part) if part.is_part() => {
                if let Ok(Some(whole)) = assembler.accept(&part) {
                    (newest, frame) = (Some(kept.version), whole);
                }
            }
            // A value that is no frame is reported like one.
            Ok(_) | Err(_) => {
                newest = Some(kept.version);
                std::mem::swap(&mut frame, &mut bytes);
            }
        }
    }
    Ok(newest.map(|version| (version, frame)))
}
