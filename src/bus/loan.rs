//! Messages that are written where they will be read.

#![allow(
    unsafe_code,
    reason = "passes the store's contract on, and keeps the place of a message that was checked once"
)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use uuid::Uuid;

use super::error::PublishError;
use super::publisher::{Sent, publish_frame};
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
    raw: store::Loan,
    terms: Terms,
    /// The message in `raw`, which is one: found out when the loan was made, and nothing else is written there until it is sent. `None`: no place where
    /// one can be.
    message: Option<NonNull<T>>,
}

// SAFETY: `message` is used as a `&mut T` is, which may be sent where `T` is `Send`; all other fields are `Send`.
unsafe impl<T: ?Sized + Send> Send for Loan<T> {}
// SAFETY: a shared loan lends its message as `&T`; all other fields are `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for Loan<T> {}

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
    terms: Terms,
    message: PhantomData<fn() -> Box<T>>,
}

/// What a message on loan will be sent as.
pub(super) struct Terms {
    pub(super) store: Store,
    pub(super) key: Arc<str>,
    pub(super) id: Uuid,
    /// Where the payload begins.
    pub(super) head: usize,
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
        let Terms { store, key, id, summed, .. } = &self.terms;
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
        this.terms.id
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
    pub(super) fn zeroed(mut raw: store::Loan, terms: Terms) -> Result<Self, PublishError> {
        match find::<T>(&mut raw, terms.head) {
            Ok(message) => Ok(Self { raw, terms, message: Some(message) }),
            Err(_) => Err(EncodeError::Zeros { name: T::NAME }.into()),
        }
    }
}

/// The place of the message that is all of the bytes from `head` on, if they are one.
fn find<T: Plain>(raw: &mut store::Loan, head: usize) -> Result<NonNull<T>, DecodeError> {
    let payload = &mut raw[head..];
    let (start, len) = (payload.as_ptr().addr(), payload.len());
    let found = std::ptr::from_mut(T::of_payload_mut(payload)?).addr();
    // Implementations of `Plain` that were not derived may have found it anywhere.
    if found != start || size_of::<T>() != len {
        return Err(DecodeError::Invalid);
    }
    // Not the reference's own pointer: one that stays good when the bytes are borrowed again, to be sealed.
    Ok(raw.tail(head).cast())
}

impl Loan<[u8]> {
    pub(super) fn bytes(mut raw: store::Loan, terms: Terms) -> Self {
        let message = Some(raw.tail(terms.head));
        Self { raw, terms, message }
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

impl<T: ?Sized> LoanUninit<T> {
    pub(super) fn new(raw: store::Loan, terms: Terms) -> Self {
        Self { raw: store::LoanUninit::new(raw), terms, message: PhantomData }
    }

    /// The room, to be written byte by byte, before [`assume_init`](Self::assume_init).
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.raw.as_uninit_mut()[self.terms.head..]
    }
}

impl<T: Plain> LoanUninit<T> {
    /// Copies a message into the room.
    pub fn write(self, message: &T) -> Loan<T> {
        let mut raw = self.raw.write_from(self.terms.head, message.as_payload());
        // There may be no place for it, if its alignment is too large: sent, it is a message all the same.
        let message = find(&mut raw, self.terms.head).ok();
        Loan { raw, terms: self.terms, message }
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
        match find(&mut raw, self.terms.head) {
            Ok(message) => Ok(Loan { raw, terms: self.terms, message: Some(message) }),
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
        Loan::bytes(self.raw.write_from(self.terms.head, bytes), self.terms)
    }

    /// Says that every byte was written.
    ///
    /// # Safety
    ///
    /// Every byte was written. (What was not is what an older message has left there, which its readers were not to see for ever.)
    pub unsafe fn assume_init(self) -> Loan<[u8]> {
        // SAFETY: the caller has written every byte of the payload, and what is before it was written when it was lent.
        Loan::bytes(unsafe { self.raw.assume_init() }, self.terms)
    }
}

impl<T: ?Sized> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("key", &self.terms.key)
            .field("len", &(self.raw.len() - self.terms.head))
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for LoanUninit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanUninit").field("key", &self.terms.key).finish_non_exhaustive()
    }
}
