//! Cells lent to a publisher, who writes the value in place.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::error::{Forked, KeyError, SetError};
use super::inner::Inner;
use super::wait::Deadline;
use crate::core::index::Place;
use crate::core::memory::lent::Lent;
use crate::core::ring::Claim;
pub(crate) use crate::core::ring::Lending;
use crate::core::ring::OwnedHandle;
use crate::os::limits;

/// Room for a value, in the cell from which it will be read. [`send`](Self::send) makes it the newest; dropped, it leaves no trace.
///
/// It may be held for any time: its cell is one fewer for others, and that is all. If its process dies, the cell is taken back.
///
/// A child of `fork` does not inherit the loan: it cannot send it, to drop its copy does nothing, and it must not write to it. Whatever it
/// writes goes into the cell of the parent, which may be writing there itself, or may have sent the value by then.
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
    inner: Arc<Inner>,
    handle: OwnedHandle,
    /// There until it is sent.
    claim: Option<Claim>,
    lent: Lent,
}

/// Room for a value, of which nobody says what is in it.
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

impl Loan {
    pub(super) fn new(
        inner: &Arc<Inner>,
        place: Place,
        len: usize,
        lending: Lending,
        deadline: Deadline,
    ) -> Result<Self, SetError> {
        inner.check_fork()?;
        inner.check_len(len)?;
        let region = inner.lending_region().map_err(no_second_mapping)?;
        let handle = inner.handle(place);
        let claim = inner.claim_within(inner.ring(handle.get()), deadline)?;
        let ring = inner.ring(handle.get());
        ring.lend(&claim, len, lending);
        // SAFETY: `lending_region` is used for nothing else. `claim` is ours alone: the cell's `seq` is private, so nobody writes it,
        // or claims it, until it is committed or released, and by then `lent` is not used any more.
        let lent = unsafe { Lent::new(region, &inner.mapped.tables.slots, place.slot, claim.cell(), len) };
        let Some(lent) = lent else {
            ring.abandon(claim);
            return Err(SetError::TooLarge { len, max: inner.max_len() });
        };
        Ok(Self { inner: Arc::clone(inner), handle, claim: Some(claim), lent })
    }

    /// Makes the value the newest, and gives its version. Copies nothing.
    ///
    /// # Errors
    ///
    /// [`SetError::Key`]: the key was removed meanwhile; or the loan is the parent process's, and stays so.
    /// [`SetError::Exhausted`]. The value is discarded then.
    ///
    /// # Examples
    ///
    /// See [`Loan`].
    pub fn send(mut self) -> Result<u64, SetError> {
        self.try_send()
    }

    /// Refuses to go on in a child of the process that has the loan.
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.inner.check_fork()
    }

    /// Where the value lies from byte `from` on, for as long as the loan exists. To be read while the loan is borrowed, written while it is borrowed
    /// exclusively.
    pub(crate) fn tail(&mut self, from: usize) -> NonNull<[u8]> {
        self.lent.tail(from)
    }

    /// Sends the value, unless that cannot be done: then it is still here.
    pub(crate) fn try_send(&mut self) -> Result<u64, SetError> {
        self.check_fork()?;
        let Some(mut claim) = self.claim.take() else {
            return Err(KeyError::Removed.into());
        };
        let ring = self.inner.ring(self.handle.get());
        ring.fill_lent(&mut claim, self.lent.bytes());
        match ring.try_commit(claim) {
            Ok(version) => {
                self.inner.wake(ring);
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
            self.inner.ring(self.handle.get()).abandon(claim);
        }
    }
}

impl LoanUninit {
    pub(crate) fn new(loan: Loan) -> Self {
        Self(loan)
    }

    /// The room, to be written byte by byte.
    ///
    /// # Examples
    ///
    /// See [`assume_init`](Self::assume_init).
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes: &mut [u8] = &mut self.0;
        // SAFETY: a byte may be taken for one of which nothing is known. What is written through the result may not be
        // initialised: then `assume_init` may not be called.
        unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
    }

    /// Copies a value of just this length into the room.
    ///
    /// # Panics
    ///
    /// If it has another length.
    ///
    /// # Examples
    ///
    /// See [`LoanUninit`].
    pub fn write(mut self, value: &[u8]) -> Loan {
        self.0.copy_from_slice(value);
        self.0
    }

    /// Copies what follows the first `head` bytes, which were written.
    pub(crate) fn write_from(mut self, head: usize, value: &[u8]) -> Loan {
        self.0[head..].copy_from_slice(value);
        self.0
    }

    /// Says that every byte was written.
    ///
    /// # Safety
    ///
    /// Every byte was written. (What was not is what an older value has left there, which its readers were not to see for ever.)
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
