//! Messages that are read where they lie.

#![allow(
    unsafe_code,
    reason = "a reference to a message that was checked once is kept beside the bytes that it points into"
)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

use super::storage::Storage;
use crate::bus::envelope::Envelope;
use crate::message::{DecodeError, InPlace, Plain};

/// A message that is read in place: pinned in the store, and not overwritten while this exists.
///
/// A [`Plain`] message is dereferenced to; one that borrows from its payload (`Prompt<'a> { text: &'a str }`) is decoded by
/// [`view`](Self::view). Obtaining a sample costs the same whatever the size of the message, but for its checksum, which is taken once,
/// and which `#[message(checksum = false)]` does without.
///
/// It takes one of the key's cells from publishers until it is dropped, or its process dies. A message that came in parts, because it is
/// larger than a cell, is a copy, and so is one that a publisher was about to overwrite when it was stopped.
///
/// What is pinned stays as it is as long as all programs that write to the store keep to its protocol. A program that writes to the file by
/// other means can change a sample under its reader; for a `&str`, `bool` or enum that is undefined behaviour. Where writers are not trusted,
/// receive copies ([`Subscriber::recv`](crate::Subscriber::recv), [`Bus::get`](crate::Bus::get)). With mode 0600, the default, only programs of
/// the same user, and root, can write.
///
/// In a child of `fork`, an inherited sample may change at any moment: do not read it, receive again in the child.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, Message};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Prompt<'a> { text: &'a str }
///
/// # let name = format!("splinter-doc-sample-{}", std::process::id());
/// let bus: Bus<Prompt<'static>> = Bus::create(&name)?;
/// bus.publish("llm:prompt", &Prompt { text: "Why is the sky blue?" })?;
/// let sample = bus.sample("llm:prompt")?.expect("one was published");
/// assert_eq!(sample.view()?.text, "Why is the sky blue?");
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a sample that is dropped at once pins nothing"]
pub struct Sample<T> {
    frame: Storage,
    payload: Range<usize>,
    /// The message in `frame`, if it is plain: found valid when the sample was made.
    plain: Option<NonNull<T>>,
    envelope: Envelope,
    message: PhantomData<fn() -> T>,
}

// SAFETY: `plain` is used as a `&T` is, which may be sent where `T` is `Sync`; all other fields are `Send`.
unsafe impl<T: Sync> Send for Sample<T> {}
// SAFETY: a shared sample lends its message as `&T`; all other fields are `Sync`.
unsafe impl<T: Sync> Sync for Sample<T> {}

impl<T> Sample<T> {
    /// Of a frame that was checked. `plain` is the reference that `T` has made of the bytes of its payload.
    #[inline]
    pub(super) fn new(frame: Storage, payload: Range<usize>, plain: Option<NonNull<T>>, envelope: Envelope) -> Self {
        Self { frame, payload, plain, envelope, message: PhantomData }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.frame.as_slice()[self.payload.clone()]
    }

    /// Whether it is in the store, and not in a copy.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.frame, Storage::Pinned(_))
    }

    /// The envelope: id, sender, recipient, kind, time.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The version of the key that the message is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.envelope.version()
    }
}

impl<T: InPlace> Sample<T> {
    /// The message, borrowing what it can. Decodes it each time, if it is not [`Plain`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not what its fingerprint promises. Never for a plain message, of which this was found out before.
    #[inline]
    pub fn view(&self) -> Result<T::View<'_>, DecodeError> {
        T::view(self.payload())
    }
}

impl<T: Plain> Deref for Sample<T> {
    type Target = T;

    /// The message, which was checked when the sample was made. Costs nothing.
    ///
    /// # Panics
    ///
    /// Only for a type whose [`InPlace`] was not derived, which is checked here, each time: if something that does not keep to the protocol has
    /// written into the pinned message, and left no valid one.
    #[inline]
    fn deref(&self) -> &T {
        match &self.plain {
            // SAFETY: `find_plain` made this of a slice of the payload's bytes, for as long as the slice would live, and those bytes stay
            // where they are and as they are while `self` exists: pinned in a mapping that the pin keeps, or in a buffer on the heap that is
            // neither changed nor dropped before.
            Some(message) => unsafe { message.as_ref() },
            None => self.check_again(),
        }
    }
}

impl<T: Plain> Sample<T> {
    #[cold]
    fn check_again(&self) -> &T {
        match T::of_payload(self.payload()) {
            Ok(message) => message,
            Err(error) => panic!("a pinned message was written to: {error}"),
        }
    }
}

impl<T> fmt::Debug for Sample<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("envelope", &self.envelope)
            .field("in_place", &self.is_in_place())
            .finish_non_exhaustive()
    }
}
