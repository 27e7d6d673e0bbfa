//! The codes of faults.

use std::fmt;

/// What went wrong with a message, as it is reported on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum FaultCode {
    /// The header is damaged, the checksum is wrong, or the type is another one.
    BadSchema = 1000,
    /// The message was received after its ttl.
    TtlExpired = 1001,
    /// The receiver does not know this kind of message.
    UnknownType = 3000,
    /// Messages of a stream did not arrive in time.
    StreamTimeout = 4200,
    /// The receiver failed. The fault's detail says whether the message can be sent again.
    InternalError = 5000,
}

impl FaultCode {
    const ALL: [Self; 5] =
        [Self::BadSchema, Self::TtlExpired, Self::UnknownType, Self::StreamTimeout, Self::InternalError];

    /// The fault with this code; `None` if this version does not know it.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The name of the fault, in capital letters.
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

    /// Whether the same message may succeed when it is sent again. `false` for
    /// [`InternalError`](Self::InternalError), because that depends on the failure.
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
