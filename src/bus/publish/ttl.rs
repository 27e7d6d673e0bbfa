//! The ttl that a publisher or a message was given.

use std::time::Duration;

use crate::bus::error::PublishError;
use crate::frame::MAX_TTL;

/// The shortest ttl.
const MIN_TTL: Duration = Duration::from_millis(1);

/// The ttl that a publisher or a message was given. One that is out of range is an error of the
/// publish, because the functions that set it return no errors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ttl {
    Never,
    Millis(u32),
    OutOfRange(Duration),
}

impl Ttl {
    pub(super) fn of(ttl: Duration) -> Self {
        match u32::try_from(ttl.as_nanos().div_ceil(1_000_000)) {
            Ok(millis) if ttl >= MIN_TTL && millis <= MAX_TTL => Self::Millis(millis),
            _ => Self::OutOfRange(ttl),
        }
    }

    #[inline]
    pub(super) fn check(self) -> Result<(), PublishError> {
        match self {
            Self::OutOfRange(ttl) => Err(PublishError::Ttl { ttl }),
            _ => Ok(()),
        }
    }

    /// As it stands in a frame.
    #[inline]
    pub(super) fn millis(self) -> Option<u32> {
        match self {
            Self::Millis(millis) => Some(millis),
            _ => None,
        }
    }
}
