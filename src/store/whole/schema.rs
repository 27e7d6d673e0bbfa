//! The names of published types by their fingerprints, for errors about messages of another type.

use crate::core::memory::records::{SCHEMA_WORDS, SchemaEntry};
use crate::core::memory::words::{self, WORD};
use crate::kill_points::{Step, reached};
use crate::store::mapped::Mapped;
use crate::store::store::Store;
use crate::sync::Ordering;

/// The longest text that is kept, in bytes.
const MAX_LEN: usize = SCHEMA_WORDS * WORD;

impl Store {
    /// Records what a fingerprint means, if there is space.
    pub(crate) fn remember_schema(&self, fingerprint: u64, text: &str) {
        if self.session.check_fork().is_err() {
            return;
        }
        remember(&self.session.mapped, fingerprint, text);
    }

    /// What a fingerprint means, if that was recorded here.
    pub(crate) fn recall_schema(&self, fingerprint: u64) -> Option<String> {
        recall(&self.session.mapped, fingerprint)
    }
}

/// Records what a fingerprint means. A store has space for 64 fingerprints and for 112 bytes of
/// each text. What does not fit is not kept, and errors show only the number.
fn remember(mapped: &Mapped, fingerprint: u64, text: &str) {
    let Some(entry) = mapped.schemas().iter().find(|entry| is_or_becomes(entry, fingerprint)) else {
        return;
    };
    reached(Step::SchemaEntered);
    // Acquire: pairs with the release below.
    if entry.len.load(Ordering::Acquire) == 0 {
        let len = text.floor_char_boundary(MAX_LEN);
        // Several processes may write at the same time, and one may crash here: all write the same
        // text, and the next one writes it again.
        words::store(&entry.text, &text.as_bytes()[..len]);
        reached(Step::SchemaWritten);
        entry.len.store(len as u64, Ordering::Release);
    }
}

/// What a fingerprint means, if that was recorded here.
fn recall(mapped: &Mapped, fingerprint: u64) -> Option<String> {
    let is = |entry: &&SchemaEntry| entry.fingerprint.load(Ordering::Relaxed) == fingerprint;
    let entry = mapped.schemas().iter().find(is)?;
    // Acquire: pairs with the release in `remember`; the text is complete.
    let len = entry.len.load(Ordering::Acquire).min(MAX_LEN as u64) as usize;
    let mut text = vec![0; len];
    words::load(&entry.text, &mut text);
    String::from_utf8(text).ok().filter(|text| !text.is_empty())
}

/// Takes the entry for this fingerprint if it is free.
fn is_or_becomes(entry: &SchemaEntry, fingerprint: u64) -> bool {
    let taken = match entry.fingerprint.load(Ordering::Relaxed) {
        0 => entry.fingerprint.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed),
        taken => Err(taken),
    };
    taken.map_or_else(|taken| taken == fingerprint, |_| true)
}
