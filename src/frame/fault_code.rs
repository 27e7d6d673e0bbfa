//! The numbers of the faults that a message can have.

use std::fmt;

/// What went wrong with a message, as it is reported on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum FaultCode {
    /// Header damaged, checksum wrong, or the fingerprint of another type.
    BadSchema = 1000,
    /// Received after its ttl.
    TtlExpired = 1001,
    /// A kind of message that the receiver does not know.
    UnknownType = 3000,
    /// Chunks of a stream are missing past the deadline.
    StreamTimeout = 4200,
    /// The receiver failed; whether the message can be sent again is in the fault's detail.
    InternalError = 5000,
}

impl FaultCode {
    const ALL: [Self; 5] =
        [Self::BadSchema, Self::TtlExpired, Self::UnknownType, Self::StreamTimeout, Self::InternalError];

    /// The fault with this number; `None` for one that this version does not know.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The name, in capitals.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::BadSchema => "BAD_SCHEMA",
            Self::TtlExpired => "TTL_EXPIRED",
            Self::UnknownType => "UNKNOWN_TYPE",
            Self::StreamTimeout => "STREAM_TIMEOUT",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether the same message may succeed when it is sent again. For
    /// [`InternalError`](Self::InternalError) that depends on the failure, so this is `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::frame::FaultCode;
    ///
    /// assert!(FaultCode::TtlExpired.is_retryable());
    /// assert!(!FaultCode::BadSchema.is_retryable());
    /// ```
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::BadSchema | Self::UnknownType | Self::InternalError => false,
            Self::TtlExpired | Self::StreamTimeout => true,
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number() {
        for fault in FaultCode::ALL {
            assert_eq!(FaultCode::from_code(fault.code()), Some(fault));
        }
        assert_eq!(FaultCode::from_code(1), None);
    }
}
