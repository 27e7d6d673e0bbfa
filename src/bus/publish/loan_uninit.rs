//! Room for a message in a cell, before the message is written.

#![allow(unsafe_code, reason = "passes the store's contract of uninitialised bytes on")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::loan::{Loan, PendingSend, find};
use crate::bus::error::PublishError;
use crate::message::{EncodeError, Plain};
use crate::store;

/// Room for a message, of which nobody says what is in it.
///
/// # Examples
///
/// ```
/// # use splinter_bus::{Bus, Message};
/// # use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
/// #[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[message(encoding = "zerocopy")]
/// #[repr(C)]
/// struct Tick { count: u64 }
///
/// # let name = format!("splinter-doc-bus-loan-uninit-{}", std::process::id());
/// let bus: Bus<Tick> = Bus::create(&name)?;
/// bus.publisher("ticks")?.loan()?.write(&Tick { count: 1 }).send()?;
/// assert_eq!(bus.sample("ticks")?.unwrap().count, 1);
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a loan that is dropped is not sent"]
pub struct LoanUninit<T: ?Sized> {
    raw: store::LoanUninit,
    pending: PendingSend,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> LoanUninit<T> {
    pub(super) fn new(raw: store::Loan, pending: PendingSend) -> Self {
        Self { raw: store::LoanUninit::new(raw), pending, message: PhantomData }
    }

    /// The room, to be written byte by byte, before [`assume_init`](Self::assume_init).
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.raw.as_uninit_mut()[self.pending.payload_start..]
    }
}

impl<T: Plain> LoanUninit<T> {
    /// Copies a message into the room.
    pub fn write(self, message: &T) -> Loan<T> {
        let mut raw = self.raw.write_from(self.pending.payload_start, message.as_payload());
        // There may be no place for it, if its alignment is too large: sent, it is a message all the same.
        let message = find(&mut raw, self.pending.payload_start).ok();
        Loan { raw, pending: self.pending, message }
    }

    /// Says that every byte was written.
    ///
    /// # Errors
    ///
    /// [`PublishError::Encode`]: the bytes are no value of the type.
    ///
    /// # Safety
    ///
    /// Every byte was written. (What was not is what an older message has left there, which its readers were not to see for ever.)
    pub unsafe fn assume_init(self) -> Result<Loan<T>, PublishError> {
        // SAFETY: the caller has written every byte of the payload, and what is before it was written when it was lent.
        let mut raw = unsafe { self.raw.assume_init() };
        match find(&mut raw, self.pending.payload_start) {
            Ok(message) => Ok(Loan { raw, pending: self.pending, message: Some(message) }),
            Err(_) => Err(EncodeError::Invalid { name: T::NAME }.into()),
        }
    }
}

impl LoanUninit<[u8]> {
    /// Copies bytes, just as many as were asked for, into the room.
    ///
    /// # Panics
    ///
    /// If they are not as many.
    pub fn write(self, bytes: &[u8]) -> Loan<[u8]> {
        Loan::bytes(self.raw.write_from(self.pending.payload_start, bytes), self.pending)
    }

    /// Says that every byte was written.
    ///
    /// # Safety
    ///
    /// Every byte was written. (What was not is what an older message has left there, which its readers were not to see for ever.)
    pub unsafe fn assume_init(self) -> Loan<[u8]> {
        // SAFETY: the caller has written every byte of the payload, and what is before it was written when it was lent.
        Loan::bytes(unsafe { self.raw.assume_init() }, self.pending)
    }
}

impl<T: ?Sized> fmt::Debug for LoanUninit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanUninit").field("key", &self.pending.key).finish_non_exhaustive()
    }
}
