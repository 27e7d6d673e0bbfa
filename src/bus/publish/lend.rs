//! Lending cells to publishers, which write messages in place.

use std::sync::Arc;

use super::loan::{Loan, PendingSend};
use super::loan_uninit::LoanUninit;
use super::publisher::Publisher;
use super::writer::{Chunk, MessageInfo};
use crate::bus::error::PublishError;
use crate::frame::{self, FrameError};
use crate::message::{Message, Plain};
use crate::os::clock;
use crate::store;
use crate::store::directory::WaitLimit;
use crate::store::slot::loan::Lending;
use crate::store::wait::Deadline;

impl<T> Publisher<T> {
    /// Lends a zeroed cell, in which a message is written in place and then [sent](Loan::send).
    ///
    /// The first loan of an open store maps the store a second time. A publisher may hold any
    /// number of loans while the key has free cells. Never waits for free cells.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the message is larger than a cell, there is no free cell, the key cannot
    /// be created, or zeros are not a value of `T`.
    pub fn loan_zeroed(&mut self) -> Result<Loan<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, pending) = self.lend(size_of::<T>(), Lending::Zeroed)?;
        Loan::zeroed(raw, pending)
    }

    /// Lends a cell with undefined content, in which a message is [written](LoanUninit::write) in
    /// place and then sent.
    ///
    /// # Errors
    ///
    /// Those of [`loan_zeroed`](Self::loan_zeroed).
    pub fn loan(&mut self) -> Result<LoanUninit<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, pending) = self.lend(size_of::<T>(), Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, pending))
    }
}

impl Publisher<Vec<u8>> {
    /// Lends `len` zeroed bytes, to be written in place and then [sent](Loan::send).
    ///
    /// # Errors
    ///
    /// [`PublishError`]: `len` is 0 or larger than a cell, there is no free cell, or the key cannot
    /// be created.
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

    /// Lends `len` bytes with undefined content, to be [written](LoanUninit::write) in place and
    /// then sent.
    ///
    /// # Errors
    ///
    /// Those of [`loan_bytes`](Self::loan_bytes).
    pub fn loan_bytes_uninit(&mut self, len: usize) -> Result<LoanUninit<[u8]>, PublishError> {
        let (raw, pending) = self.lend(len, Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, pending))
    }
}

impl<T: Message> Publisher<T> {
    /// Lends a cell whose envelope is written. Missing are the payload of `len` bytes, the time of
    /// sending and the checksum.
    fn lend(&mut self, len: usize, lending: Lending) -> Result<(store::Loan, PendingSend), PublishError> {
        let id = self.ids.next_mut(clock::unix_nanos());
        let fingerprint = self.fingerprint();
        let info = MessageInfo { fingerprint, ts: 0, id, chunk: Chunk::ONLY, overrides: None };
        self.writer.sender.ttl.check()?;
        let envelope = self.writer.sender.envelope::<T>(info);
        let (payload_offset, has_ttl) = (frame::payload_offset(&envelope)?, envelope.ttl.is_some());
        let frame_len = payload_offset.checked_add(len).ok_or(FrameError::PayloadTooLong { len })?;
        let mut raw = self.store.with_kept_slot(&self.key, &mut self.slot, &mut WaitLimit::longest(), |slot| {
            slot.loan_within(frame_len, lending, Deadline::Now).map_err(PublishError::from)
        })?;
        frame::write_envelope(&mut raw, &envelope, len)?;
        let (store, key) = (self.store.clone(), Arc::clone(&self.key));
        Ok((raw, PendingSend { store, key, id, payload_offset, checksum: T::CHECKSUM, has_ttl }))
    }
}
