//! The faults that a message can have, by number.

use std::fmt;

/// What went wrong with a message, as told to others on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum FaultCode {
    /// Header damaged, checksum wrong, or the fingerprint of another type.
    BadSchema = 1000,
    /// Received after its ttl.
    TtlExpired = 1001,
    /// The sender may not address this recipient.
    NotAuthorized = 2000,
    /// A kind of message that the receiver does not know.
    UnknownType = 3000,
    /// No cell may be overwritten.
    Backpressure = 4100,
    /// Chunks of a stream are missing past the deadline.
    StreamTimeout = 4200,
    /// The receiver failed.
    InternalError = 5000,
}

/// Whether it makes sense to go on after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// No: drop the message.
    Drop,
    /// Yes: the next message may be well.
    Continue,
    /// Yes: send it again, later and later.
    RetryWithBackOff,
    /// Yes: send it again.
    Retry,
    /// It depends on what the receiver says of it.
    Depends,
}

impl FaultCode {
    const ALL: [Self; 7] = [
        Self::BadSchema,
        Self::TtlExpired,
        Self::NotAuthorized,
        Self::UnknownType,
        Self::Backpressure,
        Self::StreamTimeout,
        Self::InternalError,
    ];

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
            Self::NotAuthorized => "NOT_AUTHORIZED",
            Self::UnknownType => "UNKNOWN_TYPE",
            Self::Backpressure => "BACKPRESSURE",
            Self::StreamTimeout => "STREAM_TIMEOUT",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// What the one who hears of it can do.
    #[must_use]
    pub const fn recovery(self) -> Recovery {
        match self {
            Self::BadSchema | Self::UnknownType => Recovery::Drop,
            Self::TtlExpired | Self::NotAuthorized => Recovery::Continue,
            Self::Backpressure => Recovery::RetryWithBackOff,
            Self::StreamTimeout => Recovery::Retry,
            Self::InternalError => Recovery::Depends,
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
