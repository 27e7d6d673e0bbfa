//! What is the same for all slots that a participant uses.

use std::sync::Arc;

use super::host::Host;
use super::permutation::Permutation;
use super::tags::Tags;

/// A participant, the rules of the store that it has open, and its surroundings.
pub(crate) struct Context {
    /// The participant's index.
    pub(crate) me: u32,
    /// How many of the newest values writers keep while there is any other cell.
    pub(crate) history: u32,
    /// Whether cells carry checksums, as in files.
    pub(crate) checksums: bool,
    /// Which cell comes after which.
    pub(crate) permutation: Permutation,
    /// For those of its threads that compute a low-water mark. A participant has one context with which it does that.
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
    /// What auto-vacuum asks for, on or off.
    pub(crate) fn scrub(&self) -> Scrub {
        if self.host.auto_vacuum() { Scrub::Always } else { Scrub::Never }
    }
}
