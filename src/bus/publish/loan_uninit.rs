//! Cells on loan whose message is not written yet.

#![allow(unsafe_code, reason = "the caller of `assume_init` guarantees what the store's loan requires")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::loan::{Loan, PendingSend};
use crate::bus::error::PublishError;
use crate::message::{EncodeError, Plain};
use crate::store;

/// A cell on loan whose payload is not written yet. If it is dropped, nothing is published.
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

    /// The bytes of the payload. Write all of them, then call [`assume_init`](Self::assume_init).
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.raw.as_uninit_mut()[self.pending.payload_offset..]
    }
}

impl<T: Plain> LoanUninit<T> {
    /// Copies a message into the cell.
    pub fn write(self, message: &T) -> Loan<T> {
        Loan::written(self.raw.write_from(self.pending.payload_offset, message.as_payload()), self.pending)
    }

    /// Turns this into a [`Loan`]. The caller asserts that every byte of the payload was written.
    ///
    /// # Errors
    ///
    /// [`PublishError::Encode`]: the bytes are not a value of `T`.
    ///
    /// # Safety
    ///
    /// Every byte of the payload must have been written. (Other bytes still hold parts of an older
    /// message, and would be published.)
    pub unsafe fn assume_init(self) -> Result<Loan<T>, PublishError> {
        // SAFETY: the caller has written every byte of the payload, and `lend` has written all
        // bytes before it.
        let raw = unsafe { self.raw.assume_init() };
        Loan::checked(raw, self.pending).map_err(|_| EncodeError::Invalid { name: T::name() }.into())
    }
}

impl LoanUninit<[u8]> {
    /// Copies `bytes` into the cell.
    ///
    /// # Panics
    ///
    /// If the length of `bytes` is not the length that was asked for.
    pub fn write(self, bytes: &[u8]) -> Loan<[u8]> {
        Loan::bytes(self.raw.write_from(self.pending.payload_offset, bytes), self.pending)
    }

    /// Turns this into a [`Loan`]. The caller asserts that every byte of the payload was written.
    ///
    /// # Safety
    ///
    /// Every byte of the payload must have been written. (Other bytes still hold parts of an older
    /// message, and would be published.)
    pub unsafe fn assume_init(self) -> Loan<[u8]> {
        // SAFETY: the caller has written every byte of the payload, and `lend` has written all
        // bytes before it.
        Loan::bytes(unsafe { self.raw.assume_init() }, self.pending)
    }
}

impl<T: ?Sized> fmt::Debug for LoanUninit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanUninit").field("key", &self.pending.key).finish_non_exhaustive()
    }
}
