//! Lending cells to be written in place.

use std::sync::Arc;

use super::loan::{Loan, PendingSend};
use super::loan_uninit::LoanUninit;
use super::publisher::Publisher;
use super::writer::{Chunk, Stamp};
use crate::bus::error::PublishError;
use crate::frame::{self, FrameError};
use crate::message::{Message, Plain};
use crate::os::clock;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::loan::Lending;
use crate::store::wait::Deadline;
use crate::store::{self, KeyError, SetError};

impl<T> Publisher<T> {
    /// Room for a message, all zeros, to be written in place and [sent](Loan::send).
    ///
    /// The first loan of an open store maps it a second time. Any number of loans may be held, as long as there are cells.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: larger than a cell, no cell, no key, or zeros are no message.
    pub fn loan_zeroed(&mut self) -> Result<Loan<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, pending) = self.lend(size_of::<T>(), Lending::Zeroed)?;
        Loan::zeroed(raw, pending)
    }

    /// Room for a message, whatever is in it, to be [written](LoanUninit::write) in place and sent.
    ///
    /// # Errors
    ///
    /// As [`loan_zeroed`](Self::loan_zeroed).
    pub fn loan(&mut self) -> Result<LoanUninit<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, pending) = self.lend(size_of::<T>(), Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, pending))
    }
}

impl Publisher<Vec<u8>> {
    /// Room for `len` bytes, all zero, to be written in place and [sent](Loan::send).
    ///
    /// # Errors
    ///
    /// [`PublishError`]: larger than a cell, none at all, no cell, or no key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::Bus;
    /// # let name = format!("splinter-doc-loan-bytes-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut bytes = bus.publisher("k")?.loan_bytes(5)?;
    /// bytes.copy_from_slice(b"bytes");
    /// bytes.send()?;
    /// assert_eq!(bus.sample("k")?.unwrap().payload(), b"bytes");
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loan_bytes(&mut self, len: usize) -> Result<Loan<[u8]>, PublishError> {
        let (raw, pending) = self.lend(len, Lending::Zeroed)?;
        Ok(Loan::bytes(raw, pending))
    }

    /// Room for `len` bytes, whatever is in it, to be [written](LoanUninit::write) in place and sent.
    ///
    /// # Errors
    ///
    /// As [`loan_bytes`](Self::loan_bytes).
    pub fn loan_bytes_uninit(&mut self, len: usize) -> Result<LoanUninit<[u8]>, PublishError> {
        let (raw, pending) = self.lend(len, Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, pending))
    }
}

impl<T: Message> Publisher<T> {
    /// A cell with everything in it but the payload of `len` bytes, the time of sending and the checksum.
    fn lend(&mut self, len: usize, lending: Lending) -> Result<(store::Loan, PendingSend), PublishError> {
        let id = self.ids.next_mut(clock::unix_nanos());
        let stamp = Stamp { fingerprint: self.fingerprint(), ts: 0, id, chunk: Chunk::ONLY };
        self.writer.sender.check_ttl()?;
        let envelope = self.writer.sender.envelope::<T>(stamp);
        let payload_start = frame::head_len(&envelope)?;
        let frame_len = payload_start.checked_add(len).ok_or(FrameError::PayloadTooLong { len })?;
        let mut lent = self.slot.loan_within(frame_len, lending, Deadline::Now);
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            if !matches!(lent, Err(SetError::Key(KeyError::Removed))) {
                break;
            }
            self.slot = self.store.slot_within(&self.key, &mut limit)?;
            lent = self.slot.loan_within(frame_len, lending, Deadline::Now);
        }
        let mut raw = lent?;
        frame::write_head(&mut raw, &envelope, len)?;
        let (store, key) = (self.store.clone(), Arc::clone(&self.key));
        Ok((raw, PendingSend { store, key, id, payload_start, summed: T::CHECKSUM }))
    }
}
