//! The frame on the wire.
