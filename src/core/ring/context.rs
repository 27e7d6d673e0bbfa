//! The context of a participant: what is the same for all slots that it uses.

use std::sync::Arc;

use super::host::Host;
use super::tags::Tags;

/// A participant, the rules of the store that it has open, and its surroundings.
pub(crate) struct Context {
    /// The participant's index.
    pub(crate) me: u32,
    /// Whether cells carry checksums, as in files.
    pub(crate) checksums: bool,
    /// How many bytes of addresses the extents of a slot have.
    pub(crate) span: u64,
    /// Tags of the threads that compute a low-water mark. A participant has one context, so they
    /// are unique.
    pub(crate) tags: Tags,
    pub(crate) host: Arc<dyn Host>,
}

/// Whether bytes that are no longer needed are zeroed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scrub {
    Always,
    Never,
}

impl Context {
    /// What the store's auto-vacuum switch asks for.
    pub(crate) fn scrub(&self) -> Scrub {
        if self.host.auto_vacuum() { Scrub::Always } else { Scrub::Never }
    }
}
