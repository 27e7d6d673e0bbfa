//! What fingerprints stand for: the names of the types that were published, for those who meet a
//! message of another one.

use crate::core::memory::records::{SCHEMA_WORDS, SchemaEntry};
use crate::core::memory::words::{self, WORD};
use crate::kill_points::{Step, reached};
use crate::store::mapped::Mapped;
use crate::store::store::Store;
use crate::sync::Ordering;

/// The longest text that is remembered, in bytes.
const MAX_LEN: usize = SCHEMA_WORDS * WORD;

impl Store {
    /// Remembers what a fingerprint stands for, as far as there is room.
    pub(crate) fn remember_schema(&self, fingerprint: u64, text: &str) {
        if self.session.check_fork().is_err() {
            return;
        }
        remember(&self.session.mapped, fingerprint, text);
    }

    /// What a fingerprint stands for, if anybody remembered it here.
    pub(crate) fn recall_schema(&self, fingerprint: u64) -> Option<String> {
        recall(&self.session.mapped, fingerprint)
    }
}

/// Remembers what a fingerprint stands for. A store has room for 64; beyond that, and beyond 112
/// bytes of a text, nothing is kept, and errors show the number alone.
fn remember(mapped: &Mapped, fingerprint: u64, text: &str) {
    let Some(entry) = mapped.schemas().iter().find(|entry| is_or_becomes(entry, fingerprint)) else {
        return;
    };
    reached(Step::SchemaEntered);
    // Acquire: pairs with the release below.
    if entry.len.load(Ordering::Acquire) == 0 {
        let len = text.floor_char_boundary(MAX_LEN);
        // Several may write at once, and one may die here: all write the same, and the next one
        // writes it again.
        words::store(&entry.text, &text.as_bytes()[..len]);
        reached(Step::SchemaWritten);
        entry.len.store(len as u64, Ordering::Release);
    }
}

/// What a fingerprint stands for, if anybody remembered it here.
fn recall(mapped: &Mapped, fingerprint: u64) -> Option<String> {
    let is = |entry: &&SchemaEntry| entry.fingerprint.load(Ordering::Relaxed) == fingerprint;
    let entry = mapped.schemas().iter().find(is)?;
    // Acquire: pairs with the release in `remember`; the text is there.
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
