//! Messages that are larger than a cell: the publisher splits them, the receiver reassembles them.
//!
//! The message's whole frame is split. Each part has a frame of its own. All parts of one frame
//! share a number, because several messages can have the same id.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::error::RecvError;
use crate::frame::Frame;
use crate::store::{GetError, Slot};

/// The length of a part's prefix: number of the frame, length of the frame, zeros.
pub(super) const PREFIX_LEN: usize = 16;

/// The largest number of incomplete messages. If there are more, the oldest one is given up.
const MAX_OPEN: usize = 64;

/// The prefix of a part's payload.
pub(super) fn prefix(number: u64, total: u32) -> [u8; PREFIX_LEN] {
    let mut prefix = [0; PREFIX_LEN];
    prefix[..8].copy_from_slice(&number.to_le_bytes());
    prefix[8..12].copy_from_slice(&total.to_le_bytes());
    prefix
}

/// The incomplete messages of one key.
#[derive(Debug)]
pub(super) struct Assembler {
    open: Vec<Assembly>,
    /// The longest wait for a part.
    timeout: Duration,
}

#[derive(Debug)]
struct Assembly {
    number: u64,
    id: Uuid,
    from: String,
    total: usize,
    /// The number of the next part.
    next: u32,
    bytes: Vec<u8>,
    /// When the next part must have arrived.
    deadline: Instant,
}

impl Assembler {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { open: Vec::new(), timeout }
    }

    /// Adds a received part, and returns the whole frame when it is complete. A part is ignored if
    /// the first part of its message was not received: it was published before this receiver
    /// started, or the loss was reported.
    ///
    /// # Errors
    ///
    /// A part is missing and will not arrive any more.
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
        // Empty parts are refused: a message could have any number of them.
        let empty = bytes.is_empty() && !part.eof();
        if part.seq() != assembly.next || !fits || empty || assembly.total != total {
            return Err(self.open.remove(index).into_error());
        }
        assembly.bytes.extend_from_slice(bytes);
        assembly.next += 1;
        assembly.deadline = Instant::now() + part_timeout(part, self.timeout);
        if part.eof() {
            let assembly = self.open.remove(index);
            return if assembly.bytes.len() == total { Ok(Some(assembly.bytes)) } else { Err(assembly.into_error()) };
        }
        if self.open.len() > MAX_OPEN {
            return Err(self.open.remove(0).into_error());
        }
        Ok(None)
    }

    /// When the next part must have arrived; `None` if no part is expected.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.iter().map(|assembly| assembly.deadline).min()
    }

    /// Gives up one message whose next part is overdue.
    pub(super) fn overdue(&mut self) -> Option<RecvError> {
        if self.open.is_empty() {
            return None;
        }
        let now = Instant::now();
        let index = self.open.iter().position(|assembly| assembly.deadline <= now)?;
        Some(self.open.remove(index).into_error())
    }

    /// Forgets all incomplete messages: their other parts will never arrive.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// The wait for a part, limited by the message's ttl.
fn part_timeout(part: &Frame<'_>, timeout: Duration) -> Duration {
    part.ttl().map_or(timeout, |ttl| timeout.min(Duration::from_millis(ttl.into())))
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

    fn into_error(self) -> RecvError {
        RecvError::Incomplete { id: self.id, from: self.from, received: self.bytes.len(), total: self.total }
    }
}

/// The error for a part that is received where a message is expected.
#[cold]
pub(super) fn incomplete(part: &Frame<'_>) -> RecvError {
    let received = part.payload().len().saturating_sub(PREFIX_LEN);
    let total = part.payload().get(8..12).map_or(0, |total| u32::from_le_bytes(std::array::from_fn(|at| total[at])));
    RecvError::Incomplete { id: part.id(), from: part.from().to_owned(), received, total: total as usize }
}

/// Returns the newest complete message as a frame, and the version that completed it.
pub(super) fn newest_complete(slot: &Slot) -> Result<Option<(u64, Vec<u8>)>, GetError> {
    let mut assembler = Assembler::new(Duration::MAX / 4);
    let (mut newest, mut frame, mut bytes) = (None, Vec::new(), Vec::new());
    for kept in slot.stored_from(0)? {
        if !slot.copy_stored(kept, &mut bytes)? {
            continue;
        }
        match Frame::parse(&bytes) {
            Ok(part) if part.is_part() => {
                if let Ok(Some(complete)) = assembler.accept(&part) {
                    (newest, frame) = (Some(kept.version), complete);
                }
            }
            // A value that is not a frame is returned, too: the caller reports it.
            Ok(_) | Err(_) => {
                newest = Some(kept.version);
                std::mem::swap(&mut frame, &mut bytes);
            }
        }
    }
    Ok(newest.map(|version| (version, frame)))
}
