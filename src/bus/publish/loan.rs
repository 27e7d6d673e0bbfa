//! Messages that are written where they will be read.

#![allow(
    unsafe_code,
    reason = "passes the store's contract on, and keeps the place of a message that was checked once"
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

/// A message that is written in place, in the cell from which it will be read. [`send`](Self::send) publishes it; dropped, it leaves no
/// trace.
///
/// It may be held for any time: it delays nobody. If its process dies, the cell is taken back.
///
/// In a child of `fork`, an inherited loan is still the parent's: do not write to it.
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
    pub(super) raw: store::Loan,
    pub(super) pending: PendingSend,
    /// The message in `raw`, which is one: found out when the loan was made, and nothing else is written there until it is sent. `None`: no place where
    /// one can be.
    pub(super) message: Option<NonNull<T>>,
}

// SAFETY: `message` is used as a `&mut T` is, which may be sent where `T` is `Send`; all other fields are `Send`.
unsafe impl<T: ?Sized + Send> Send for Loan<T> {}
// SAFETY: a shared loan lends its message as `&T`; all other fields are `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for Loan<T> {}

/// What a message on loan will be sent as.
pub(super) struct PendingSend {
    pub(super) store: Store,
    pub(super) key: Arc<str>,
    pub(super) id: Uuid,
    /// Where the payload begins.
    pub(super) payload_start: usize,
    pub(super) summed: bool,
}

impl<T: ?Sized> Loan<T> {
    /// Publishes the message, as sent now. Copies nothing.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. The cell is there already, so hardly any: if the key was removed meanwhile, it is created again, for which there
    /// may be no slot.
    pub fn send(mut self) -> Result<Sent, PublishError> {
        // Before a byte is written: in a child, the loan is the parent's.
        self.raw.check_fork()?;
        let PendingSend { store, key, id, summed, .. } = &self.pending;
        frame::seal(&mut self.raw, clock::unix_nanos(), *summed);
        match self.raw.try_send() {
            Ok(version) => Ok(Sent { id: *id, version }),
            Err(SetError::Key(KeyError::Removed)) => {
                let (version, _) = publish_frame(store, key, &self.raw, Deadline::Now)?;
                Ok(Sent { id: *id, version })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The id that the message will be sent with.
    ///
    /// An associated function, so that it hides no method of the message: `Loan::id(&loan)`.
    #[must_use]
    pub fn id(this: &Self) -> Uuid {
        this.pending.id
    }

    #[inline]
    fn message(&self) -> &T {
        match &self.message {
            // SAFETY: it lies in bytes that are lent to us alone and stay where they are while `self` exists, and was found valid. Writers of
            // them are `deref_mut`, which leaves a valid message, and `send`, which ends the loan.
            Some(message) => unsafe { message.as_ref() },
            None => misplaced(),
        }
    }

    #[inline]
    fn message_mut(&mut self) -> &mut T {
        match &mut self.message {
            // SAFETY: as in `message`; and exclusive, since `self` is borrowed exclusively.
            Some(message) => unsafe { message.as_mut() },
            None => misplaced(),
        }
    }
}

#[cold]
fn misplaced() -> ! {
    panic!("the type's alignment is larger than that of payloads in this store: send a copy of the message instead")
}

impl<T: Plain> Loan<T> {
    /// Of bytes that are all zero.
    pub(super) fn zeroed(mut raw: store::Loan, pending: PendingSend) -> Result<Self, PublishError> {
        match find::<T>(&mut raw, pending.payload_start) {
            Ok(message) => Ok(Self { raw, pending, message: Some(message) }),
            Err(_) => Err(EncodeError::Zeros { name: T::NAME }.into()),
        }
    }
}

/// The place of the message that is all of the bytes from `payload_start` on, if they are one.
pub(super) fn find<T: Plain>(raw: &mut store::Loan, payload_start: usize) -> Result<NonNull<T>, DecodeError> {
    let payload = &mut raw[payload_start..];
    let (start, len) = (payload.as_ptr().addr(), payload.len());
    let found = std::ptr::from_mut(T::of_payload_mut(payload)?).addr();
    // Implementations of `Plain` that were not derived may have found it anywhere.
    if found != start || size_of::<T>() != len {
        return Err(DecodeError::Invalid);
    }
    // Not the reference's own pointer: one that stays good when the bytes are borrowed again, to be sealed.
    Ok(raw.tail(payload_start).cast())
}

impl Loan<[u8]> {
    pub(super) fn bytes(mut raw: store::Loan, pending: PendingSend) -> Self {
        let message = Some(raw.tail(pending.payload_start));
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
            .field("len", &(self.raw.len() - self.pending.payload_start))
            .finish_non_exhaustive()
    }
}
