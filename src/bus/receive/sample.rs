//! `Sample`: a message that is read in place.

#![allow(
    unsafe_code,
    reason = "a pointer to a message that was checked once is kept beside the bytes that it points into"
)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::Arc;

use super::storage::Storage;
use crate::bus::envelope::Envelope;
use crate::message::{DecodeError, InPlace, Plain};
use crate::schema::Table;

/// A message that is read in place: pinned in the store, and not overwritten while the sample
/// exists.
///
/// A sample of a [`Plain`] message dereferences to it. A message that borrows from its payload
/// (`Prompt<'a> { text: &'a str }`) is decoded by [`view`](Self::view). The cost of a sample does
/// not depend on the size of the message, except for the checksum. The checksum is computed once;
/// `#[message(checksum = false)]` turns it off.
///
/// A sample keeps one cell of the key from publishers until it is dropped or its process dies. A
/// message whose cell a publisher has claimed, but not overwritten, is a copy instead.
///
/// Pinned bytes do not change as long as every program that writes to the store follows its
/// protocol. A program that writes to the file by other means can change a sample while it is read.
/// For a `&str`, `bool` or enum, that is undefined behaviour. If you do not trust the writers,
/// receive copies ([`Subscriber::recv`](crate::Subscriber::recv), [`Bus::get`](crate::Bus::get)).
/// With mode 0600, the default, only programs of the same user, and of root, can write.
///
/// In a child of `fork`, an inherited sample can change at any moment. Do not read it; receive
/// again in the child.
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
    /// The message in `frame`, if it is plain: checked when the sample was made.
    plain: Option<NonNull<T>>,
    /// The schema by which the message is read, if not by its type alone.
    schema: Option<Arc<Table>>,
    envelope: Envelope,
    message: PhantomData<fn() -> T>,
}

// SAFETY: `plain` is used like a `&T`, which may be sent if `T` is `Sync`; all other fields are
// `Send`.
unsafe impl<T: Sync> Send for Sample<T> {}
// SAFETY: a shared sample only gives out `&T`; all other fields are `Sync`.
unsafe impl<T: Sync> Sync for Sample<T> {}

impl<T> Sample<T> {
    /// Makes a sample of a checked frame. `plain` is a reference that `T` made of the payload's
    /// bytes.
    #[inline]
    pub(super) fn new(
        frame: Storage,
        payload: Range<usize>,
        plain: Option<NonNull<T>>,
        schema: Option<Arc<Table>>,
        envelope: Envelope,
    ) -> Self {
        Self { frame, payload, plain, schema, envelope, message: PhantomData }
    }

    /// The bytes of the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.frame.as_slice()[self.payload.clone()]
    }

    /// Whether the message is read in the store; `false` if it is a copy.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.frame, Storage::Pinned(_))
    }

    /// The envelope: id, sender, recipient, kind and time of sending.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The message's version of its key.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.envelope.version()
    }
}

impl<T: InPlace> Sample<T> {
    /// Returns the message, which borrows from the payload where it can. Decodes the payload at
    /// each call, unless the message is [`Plain`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not a valid value of the type. Never for a plain message,
    /// because its sample was checked.
    #[inline]
    pub fn view(&self) -> Result<T::View<'_>, DecodeError> {
        match &self.schema {
            None => T::view(self.payload()),
            Some(schema) => T::view_by(schema, self.payload()),
        }
    }
}

impl<T: Plain> Deref for Sample<T> {
    type Target = T;

    /// Returns the message. It was checked when the sample was made, so this costs nothing.
    ///
    /// # Panics
    ///
    /// Only if `T` implements [`InPlace`] by hand: then each call checks the payload, and panics if
    /// another program has changed it to bytes that are not a `T`.
    #[inline]
    fn deref(&self) -> &T {
        match &self.plain {
            // SAFETY: `find_plain` made this reference from a slice of the payload's bytes. While
            // `self` exists, those bytes stay in place and unchanged: either they are pinned, in a
            // mapping that the pin keeps, or they are in a heap buffer that is neither changed nor
            // dropped before.
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
            Err(error) => panic!("another program has written to a pinned message: {error}"),
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
