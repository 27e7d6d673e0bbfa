//! Messages that are written in place, in the cell from which they are read.

#![allow(
    unsafe_code,
    reason = "a pointer to a message that was checked once is kept beside the bytes that it points into"
)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use uuid::Uuid;

use super::sent::{Sent, publish_frame};
use crate::bus::error::PublishError;
use crate::frame;
use crate::message::{DecodeError, EncodeError, Plain};
use crate::os::clock;
use crate::store::wait::Deadline;
use crate::store::{self, KeyError, SetError, Store};

/// A message that is written in place, in the cell from which it is read. [`send`](Self::send)
/// publishes it. If the loan is dropped instead, nothing is published.
///
/// A loan may be held for any time and delays no other process; it only takes one cell of the key.
/// If its process dies, the cell is reclaimed.
///
/// In a child of `fork`, an inherited loan still belongs to the parent: do not write to it.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, Message};
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[message(encoding = "zerocopy")]
/// #[repr(C)]
/// struct Embedding { values: [f32; 768] }
///
/// # let name = format!("splinter-doc-bus-loan-{}", std::process::id());
/// let bus: Bus<Embedding> = Bus::create(&name)?;
/// let mut publisher = bus.publisher("embeddings")?;
/// let mut embedding = publisher.loan_zeroed()?;
/// embedding.values[7] = 0.5;
/// embedding.send()?;
/// let sample = bus.sample("embeddings")?.expect("one was published");
/// assert_eq!((sample.values[0], sample.values[7]), (0.0, 0.5));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a loan that is dropped is not sent"]
pub struct Loan<T: ?Sized> {
    raw: store::Loan,
    pending: PendingSend,
    /// The message in `raw`: checked when the loan was made, and only changed as a `T` since then.
    /// `None` if the address is not aligned for `T`.
    message: Option<NonNull<T>>,
}

// SAFETY: `message` is used like a `&mut T`, which may be sent if `T` is `Send`; all other fields
// are `Send`.
unsafe impl<T: ?Sized + Send> Send for Loan<T> {}
// SAFETY: a shared loan only gives out `&T`; all other fields are `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for Loan<T> {}

/// What `send` needs, beside the cell, to publish a message on loan.
pub(super) struct PendingSend {
    pub(super) store: Store,
    pub(super) key: Arc<str>,
    pub(super) id: Uuid,
    /// The offset of the payload in the frame.
    pub(super) payload_offset: usize,
    pub(super) checksum: bool,
    /// Whether the message has a ttl, which the boot clock judges.
    pub(super) has_ttl: bool,
}

impl<T: ?Sized> Loan<T> {
    /// Publishes the message, with the current time as its time of sending. Copies nothing.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. It is rare, because the cell is already reserved. If the key was removed
    /// meanwhile, `send` creates it again, and that can fail.
    pub fn send(mut self) -> Result<Sent, PublishError> {
        // Before anything is written: in a child of `fork`, the loan belongs to the parent.
        self.raw.check_fork()?;
        let PendingSend { store, key, id, checksum, has_ttl, .. } = &self.pending;
        let sent_boot = has_ttl.then(|| clock::boot_millis() as u32);
        frame::seal(&mut self.raw, clock::unix_nanos(), sent_boot, *checksum);
        match self.raw.try_send() {
            Ok(version) => Ok(Sent { id: *id, version }),
            Err(SetError::Key(KeyError::Removed)) => {
                let (version, _) = publish_frame(store, key, &self.raw, Deadline::Now)?;
                Ok(Sent { id: *id, version })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The id with which the message will be sent.
    ///
    /// This is an associated function, so that it does not hide a method of the message:
    /// `Loan::id(&loan)`.
    #[must_use]
    pub fn id(this: &Self) -> Uuid {
        this.pending.id
    }

    #[inline]
    fn message(&self) -> &T {
        match &self.message {
            // SAFETY: `message` points into bytes that only this loan may access, and that stay in
            // place while `self` exists. They were found valid. Only two functions write to them:
            // `deref_mut`, which leaves a valid `T`, and `send`, which consumes the loan.
            Some(message) => unsafe { message.as_ref() },
            None => misplaced(),
        }
    }

    #[inline]
    fn message_mut(&mut self) -> &mut T {
        match &mut self.message {
            // SAFETY: as in `message`; the access is exclusive because `self` is borrowed mutably.
            Some(message) => unsafe { message.as_mut() },
            None => misplaced(),
        }
    }
}

#[cold]
fn misplaced() -> ! {
    panic!(
        "the message is not aligned for its type, whose alignment is larger than that of payloads: publish a copy instead"
    )
}

impl<T: Plain> Loan<T> {
    /// Makes a loan of a cell whose payload is zeroed.
    pub(super) fn zeroed(raw: store::Loan, pending: PendingSend) -> Result<Self, PublishError> {
        Self::checked(raw, pending).map_err(|_| EncodeError::Zeros { name: T::name() }.into())
    }

    /// Makes a loan of a cell whose payload has any content, which must be a valid `T`.
    pub(super) fn checked(mut raw: store::Loan, pending: PendingSend) -> Result<Self, DecodeError> {
        let message = find(&mut raw, pending.payload_offset)?;
        Ok(Self { raw, pending, message: Some(message) })
    }

    /// Makes a loan of a cell into which a `T` was copied.
    pub(super) fn written(mut raw: store::Loan, pending: PendingSend) -> Self {
        // `None` if the alignment of `T` is too large for the cell. The message can still be sent.
        let message = find(&mut raw, pending.payload_offset).ok();
        Self { raw, pending, message }
    }
}

/// Finds the message that occupies all bytes from `payload_offset` on.
fn find<T: Plain>(raw: &mut store::Loan, payload_offset: usize) -> Result<NonNull<T>, DecodeError> {
    let payload = &mut raw[payload_offset..];
    let (start, len) = (payload.as_ptr().addr(), payload.len());
    let found = std::ptr::from_mut(T::of_payload_mut(payload)?).addr();
    // An implementation of `Plain` that was not derived might return any reference.
    if found != start || size_of::<T>() != len {
        return Err(DecodeError::Invalid);
    }
    // Not derived from the reference: this pointer stays valid when `send` borrows the bytes to
    // seal them.
    Ok(raw.tail(payload_offset).cast())
}

impl Loan<[u8]> {
    pub(super) fn bytes(mut raw: store::Loan, pending: PendingSend) -> Self {
        let message = Some(raw.tail(pending.payload_offset));
        Self { raw, pending, message }
    }
}

impl<T: Plain> Deref for Loan<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.message()
    }
}

impl<T: Plain> DerefMut for Loan<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.message_mut()
    }
}

impl Deref for Loan<[u8]> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.message()
    }
}

impl DerefMut for Loan<[u8]> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.message_mut()
    }
}

impl<T: ?Sized> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("key", &self.pending.key)
            .field("len", &(self.raw.len() - self.pending.payload_offset))
            .finish_non_exhaustive()
    }
}
