//! Messages that are written where they will be read.

#![allow(unsafe_code, reason = "one function, whose contract is passed on to the store's")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use uuid::Uuid;

use super::error::PublishError;
use super::publisher::{Sent, publish_frame};
use crate::frame;
use crate::message::{EncodeError, Plain};
use crate::os::clock;
use crate::store::wait::Deadline;
use crate::store::{self, SetError, Store};

/// A message that is written in place, in the cell from which it will be read. [`send`](Self::send) publishes it; dropped, it leaves no
/// trace.
///
/// It may be held for any time: it delays nobody. If its process dies, the cell is taken back.
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
    message: PhantomData<fn() -> Box<T>>,
}

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
    /// [`PublishError`]. Room is there already, so hardly any: if the key was removed meanwhile, it is created anew, for which there may be
    /// no slot.
    pub fn send(mut self) -> Result<Sent, PublishError> {
        // Before a byte is written: in a child, the loan is the parent's.
        self.raw.check_fork()?;
        let Terms { store, key, id, summed, .. } = &self.terms;
        frame::seal(&mut self.raw, clock::unix_nanos(), *summed);
        match self.raw.try_send() {
            Ok(version) => Ok(Sent { id: *id, version }),
            Err(SetError::Removed) => {
                let (version, _) = publish_frame(store, key, &self.raw, Deadline::Now)?;
                Ok(Sent { id: *id, version })
            }
            Err(error) => Err(PublishError::of(error)),
        }
    }

    /// The id that it will be sent with.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.terms.id
    }

    fn payload(&self) -> &[u8] {
        &self.raw[self.terms.head..]
    }

    fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.raw[self.terms.head..]
    }
}

impl<T: Plain> Loan<T> {
    /// Of bytes that are all zero.
    pub(super) fn zeroed(raw: store::Loan, terms: Terms) -> Result<Self, PublishError> {
        let mut loan = Self { raw, terms, message: PhantomData };
        match T::of_payload_mut(loan.payload_mut()) {
            Ok(_) => Ok(loan),
            Err(_) => Err(EncodeError::Zeros { name: T::NAME }.into()),
        }
    }
}

impl Loan<[u8]> {
    pub(super) fn bytes(raw: store::Loan, terms: Terms) -> Self {
        Self { raw, terms, message: PhantomData }
    }
}

impl<T: Plain> Deref for Loan<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match T::of_payload(self.payload()) {
            Ok(message) => message,
            Err(error) => panic!("what was lent was written to: {error}"),
        }
    }
}

impl<T: Plain> DerefMut for Loan<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match T::of_payload_mut(self.payload_mut()) {
            Ok(message) => message,
            Err(error) => panic!("what was lent was written to: {error}"),
        }
    }
}

impl Deref for Loan<[u8]> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.payload()
    }
}

impl DerefMut for Loan<[u8]> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.payload_mut()
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

    fn filled_with(self, payload: &[u8]) -> Loan<T> {
        let head = self.terms.head;
        Loan { raw: self.raw.write_from(head, payload), terms: self.terms, message: PhantomData }
    }
}

impl<T: Plain> LoanUninit<T> {
    /// Copies a message into the room.
    pub fn write(self, message: &T) -> Loan<T> {
        self.filled_with(message.as_payload())
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
        let raw = unsafe { self.raw.assume_init() };
        let mut loan = Loan::<T> { raw, terms: self.terms, message: PhantomData };
        match T::of_payload_mut(loan.payload_mut()) {
            Ok(_) => Ok(loan),
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
        self.filled_with(bytes)
    }

    /// Says that every byte was written.
    ///
    /// # Safety
    ///
    /// Every byte was written. (What was not is what an older message has left there, which its readers were not to see for ever.)
    pub unsafe fn assume_init(self) -> Loan<[u8]> {
        // SAFETY: the caller has written every byte of the payload, and what is before it was written when it was lent.
        let raw = unsafe { self.raw.assume_init() };
        Loan { raw, terms: self.terms, message: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("key", &self.terms.key).field("len", &self.payload().len()).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for LoanUninit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoanUninit").field("key", &self.terms.key).finish_non_exhaustive()
    }
}
