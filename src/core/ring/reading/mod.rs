//! Reading: copying values, or reading them in place.

pub(super) mod copy;
pub(super) mod find;
pub(super) mod history;
pub(super) mod pin;
pub(super) mod read;
pub(super) mod slice;
