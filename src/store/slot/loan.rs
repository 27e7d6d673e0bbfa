//! Loans: cells in which a publisher writes the value in place.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::slot::Slot;
use crate::core::index::SlotRef;
use crate::core::memory::lent::Lent;
pub(crate) use crate::core::ring::Lending;
use crate::core::ring::owned_handle::OwnedHandle;
use crate::core::ring::{Claim, CommitError, Storage};
use crate::os::limits;
use crate::store::error::{Forked, KeyError, SetError};
use crate::store::session::Session;
use crate::store::wait::Deadline;

/// A cell on loan, in which a value is written in place. [`send`](Self::send) publishes it; if it
/// is dropped, nothing is published.
///
/// It may be held for any time: others have one cell less meanwhile. If its process dies, the cell
/// is reaped.
///
/// A child of `fork` does not inherit the loan: it cannot send it, dropping its copy does nothing,
/// and it must not write to it. What it writes would go into the cell of the parent, which may be
/// writing there itself, or may have sent the value by then.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-loan-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let slot = store.slot("k")?;
/// let mut loan = slot.loan(5)?;
/// assert_eq!(*loan, [0; 5]);
/// loan.copy_from_slice(b"value");
/// assert_eq!(loan.send()?, 1);
/// drop(slot.loan(5)?);
/// assert_eq!(store.get("k")?.as_deref(), Some(&b"value"[..]));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a loan that is dropped is not sent"]
pub struct Loan {
    session: Arc<Session>,
    handle: OwnedHandle,
    /// `Some` until it is sent.
    claim: Option<Claim>,
    lent: Lent,
}

/// A cell on loan whose bytes are not initialised.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-loan-uninit-{}", std::process::id());
/// let slot = Store::create(&name)?.slot("k")?;
/// let loan = slot.loan_uninit(5)?.write(b"value");
/// assert_eq!(loan.send()?, 1);
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a loan that is dropped is not sent"]
pub struct LoanUninit(Loan);

impl Slot {
    /// Lends a cell for a value of `len` bytes, all zero, which is written in place.
    ///
    /// Takes a cell as [`set`](Self::set) does. The first loan of a process maps the store a
    /// second time.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell to lend, the key was removed, or the store cannot be
    /// mapped again.
    ///
    /// # Examples
    ///
    /// See [`Loan`].
    pub fn loan(&self, len: usize) -> Result<Loan, SetError> {
        self.loan_within(len, Lending::Zeroed, Deadline::Now)
    }

    /// As [`loan`](Self::loan), without zeroing the bytes first.
    ///
    /// # Errors
    ///
    /// As [`loan`](Self::loan).
    ///
    /// # Examples
    ///
    /// See [`LoanUninit`].
    pub fn loan_uninit(&self, len: usize) -> Result<LoanUninit, SetError> {
        self.loan_within(len, Lending::AsItIs, Deadline::Now).map(LoanUninit::new)
    }

    pub(crate) fn loan_within(&self, len: usize, lending: Lending, deadline: Deadline) -> Result<Loan, SetError> {
        Loan::new(self.session(), self.slot_ref, len, lending, deadline)
    }
}

impl Loan {
    pub(crate) fn new(
        session: &Arc<Session>,
        slot_ref: SlotRef,
        len: usize,
        lending: Lending,
        deadline: Deadline,
    ) -> Result<Self, SetError> {
        session.check_fork()?;
        let handle = session.handle(slot_ref);
        let ring = session.ring(handle.get());
        // Before the claim, which is given back by another way if this fails.
        let region = if ring.is_short(len) { Some(session.lending_region().map_err(no_second_mapping)?) } else { None };
        let claim = session.claim_within(ring, len, deadline)?;
        let words = match ring.lend(&claim, len, lending) {
            Ok(words) => words,
            Err(error) => {
                ring.abandon(claim);
                return Err(error.into());
            }
        };
        let cells = region.map(|region| {
            region.reach.note(session.mapped.memory.region.reach.len());
            region.slot(&session.mapped.tables.slots, slot_ref.slot).cells
        });
        let words = match (ring.storage(claim.cell, len), cells) {
            (Storage::Inline, Some(cells)) => cells.get(claim.cell).words,
            (Storage::Page, Some(cells)) => cells.page(claim.cell).unwrap_or_default(),
            _ => words,
        };
        // SAFETY: `claim` is ours alone: the cell's `seq` says that we are writing, so no other process
        // writes or claims the cell until it is committed or released, and by then `lent` is not used
        // any more. The second mapping is used for nothing else; a value that is in neither its cell nor
        // its page is read under a pin only, so nobody reads it while it is being written. Both mappings
        // stay as long as the session.
        let Some(lent) = (unsafe { Lent::new(words, len) }) else {
            ring.abandon(claim);
            return Err(CommitError::Unmapped(None).into());
        };
        Ok(Self { session: Arc::clone(session), handle, claim: Some(claim), lent })
    }

    /// Publishes the value. Returns its version. Copies nothing.
    ///
    /// # Errors
    ///
    /// [`SetError::Key`]: the key was removed meanwhile, or the loan belongs to the parent process and
    /// stays there. [`SetError::Exhausted`]. The value is discarded then.
    ///
    /// # Examples
    ///
    /// See [`Loan`].
    pub fn send(mut self) -> Result<u64, SetError> {
        self.try_send()
    }

    /// Refuses to go on in a child of the process that has the loan.
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.session.check_fork()
    }

    /// The bytes of the value from `from` on, valid while the loan exists. They may be read while
    /// the loan is borrowed, and written while it is borrowed exclusively.
    pub(crate) fn tail(&mut self, from: usize) -> NonNull<[u8]> {
        self.lent.tail(from)
    }

    /// Sends the value. If that fails, the value stays in the loan.
    pub(crate) fn try_send(&mut self) -> Result<u64, SetError> {
        self.check_fork()?;
        let Some(mut claim) = self.claim.take() else {
            return Err(SetError::Key(KeyError::Removed));
        };
        let ring = self.session.ring(self.handle.get());
        ring.fill_lent(&mut claim, self.lent.bytes());
        match ring.try_commit(claim) {
            Ok(version) => {
                self.session.wake(ring);
                Ok(version)
            }
            Err((error, claim)) => {
                self.claim = Some(claim);
                Err(error.into())
            }
        }
    }
}

impl Deref for Loan {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.lent.bytes()
    }
}

impl DerefMut for Loan {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.lent.bytes_mut()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // In a child, the loan is the parent's.
        if self.check_fork().is_ok()
            && let Some(claim) = self.claim.take()
        {
            self.session.ring(self.handle.get()).abandon(claim);
        }
    }
}

impl LoanUninit {
    pub(crate) fn new(loan: Loan) -> Self {
        Self(loan)
    }

    /// The bytes of the loan, to be written one by one.
    ///
    /// # Examples
    ///
    /// See [`assume_init`](Self::assume_init).
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes: &mut [u8] = &mut self.0;
        // SAFETY: every `u8` is a valid `MaybeUninit<u8>`. A caller that writes uninitialised bytes
        // through the result must not call `assume_init`.
        unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
    }

    /// Copies a value of exactly this length into the loan.
    ///
    /// # Panics
    ///
    /// If the value has another length.
    ///
    /// # Examples
    ///
    /// See [`LoanUninit`].
    pub fn write(mut self, value: &[u8]) -> Loan {
        self.0.copy_from_slice(value);
        self.0
    }

    /// Copies what follows the first `head` bytes, which the caller has written.
    pub(crate) fn write_from(mut self, head: usize, value: &[u8]) -> Loan {
        self.0[head..].copy_from_slice(value);
        self.0
    }

    /// Asserts that every byte was written.
    ///
    /// # Safety
    ///
    /// Every byte was written. (The others would be left over from an older value, which must not
    /// be seen again.)
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-loan-assume-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// let mut loan = slot.loan_uninit(5)?;
    /// for (byte, value) in loan.as_uninit_mut().iter_mut().zip(b"value") {
    ///     byte.write(*value);
    /// }
    /// // SAFETY: all five bytes were written.
    /// let loan = unsafe { loan.assume_init() };
    /// assert_eq!(loan.send()?, 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn assume_init(self) -> Loan {
        self.0
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.lent.bytes().len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoanUninit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoanUninit").field(&self.0).finish()
    }
}

#[cold]
fn no_second_mapping(source: io::Error) -> SetError {
    SetError::Mapping { limit: limits::address_space(), source }
}
