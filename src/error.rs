//! The error of programs that only report errors.

use std::io;

use thiserror::Error;

use crate::bus::{AcknowledgeError, PublishError, RecvError, SubscribeError, WaitError};
use crate::frame::FrameError;
use crate::message::{DecodeError, EncodeError};
use crate::store::{
    CopyError, DimensionsError, DirectoryError, EvictError, Forked, GetError, KeyError, OpenError, PatternError,
    SetError, ShapeError, UpdateError,
};

/// Any error of this crate.
///
/// Each operation has its own error type. All of them convert into this one, so that `?` works in
/// functions that use several operations. Its text is that of the error inside.
///
/// # Examples
///
/// ```
/// use splinter_bus::Bus;
///
/// fn main() -> Result<(), splinter_bus::Error> {
/// #   let name = format!("splinter-doc-error-{}", std::process::id());
/// #   let name = name.as_str();
///     let bus: Bus<Vec<u8>> = Bus::create(name)?;
///     let mut numbers = bus.subscribe("numbers")?;
///     bus.publish("numbers", &vec![7])?;
///     assert_eq!(**numbers.recv()?, [7]);
///     bus.store().unset("numbers")?;
///     splinter_bus::Store::remove(name)?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum Error {
    /// A store could not be created, opened or removed.
    Open(#[from] OpenError),
    /// A store was not copied.
    Copy(#[from] CopyError),
    /// The size that was asked for is impossible.
    Dimensions(#[from] DimensionsError),
    /// A key cannot have the shape that was asked for.
    Shape(#[from] ShapeError),
    /// A key, or a handle on one, cannot be used.
    Key(#[from] KeyError),
    /// A handle was inherited from the parent process by `fork`.
    Forked(#[from] Forked),
    /// A key was not created or removed, or a store not purged.
    Directory(#[from] DirectoryError),
    /// A value was not set, or no cell was lent.
    Set(#[from] SetError),
    /// A value was not read.
    Get(#[from] GetError),
    /// A value was not updated.
    Update(#[from] UpdateError),
    /// A participant was not evicted from a key.
    Evict(#[from] EvictError),
    /// A text is not a pattern of keys.
    Pattern(#[from] PatternError),
    /// A message was not published.
    Publish(#[from] PublishError),
    /// A subscriber or a worker of a queue could not be created.
    Subscribe(#[from] SubscribeError),
    /// A message was not received.
    Recv(#[from] RecvError),
    /// A message of a work queue was not acknowledged.
    Acknowledge(#[from] AcknowledgeError),
    /// A wait for several sources did not begin.
    Wait(#[from] WaitError),
    /// A message was not encoded.
    Encode(#[from] EncodeError),
    /// A payload is not the message that it should be.
    Decode(#[from] DecodeError),
    /// Bytes are not a frame.
    Frame(#[from] FrameError),
    /// The operating system refused an operation, such as a flush.
    Io(#[from] io::Error),
}
