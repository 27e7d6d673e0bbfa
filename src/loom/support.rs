//! What scenarios have in common: a small slot, its participants, and values that show when they are torn.

use std::sync::atomic::{AtomicU32 as Plain, Ordering::SeqCst};

use loom::sync::Arc;
use loom::thread::JoinHandle;

use crate::core::memory::cells::Cells;
use crate::core::memory::records::{CellHeader, Event};
use crate::core::memory::slot_view::SlotView;
use crate::core::ring::{Advance, CommitError, Context, Handle, Host, Permutation, Ring, Tags};
use crate::core::wait::{Slept, Waiter, wait};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The generation of the key in all scenarios, until it is removed.
pub(super) const GENERATION: u64 = 1;

/// A slot of loom's atomics, with a handle for each of the participants 0 to 3.
pub(super) struct Slot {
    view: SlotView<'static>,
    handles: [Handle<'static>; 4],
    contexts: [Context; 4],
    hosts: [std::sync::Arc<Surroundings>; 4],
}

/// Whom a participant finds crashed.
#[derive(Default)]
struct Surroundings {
    /// Bits. Not loom's: it changes only while one thread runs.
    crashed: Plain,
}

impl Host for Surroundings {
    fn auto_vacuum(&self) -> bool {
        true
    }

    fn next_version(&self, before: u64) -> u64 {
        before + 1
    }

    fn first_version(&self) -> u64 {
        0
    }

    fn if_crashed(&self, participant: u32, clean: &mut dyn FnMut()) {
        if self.crashed.load(SeqCst) >> participant & 1 == 1 {
            clean();
        }
    }

    fn wake_all(&self, _: &AtomicU32) {}
}

impl Slot {
    pub(super) fn new(history: u32, cells: usize) -> Arc<Self> {
        Self::with_checksums(history, cells, false)
    }

    pub(super) fn with_checksums(history: u32, cells: usize, checksums: bool) -> Arc<Self> {
        let view = heap_slot(cells, 2, 2);
        view.header.generation.store(GENERATION, Ordering::Relaxed);
        let hosts: [std::sync::Arc<Surroundings>; 4] = Default::default();
        let contexts = [0, 1, 2, 3].map(|me| Context {
            me,
            history,
            checksums,
            permutation: Permutation::of(cells as u32),
            tags: Tags::default(),
            host: hosts[me as usize].clone(),
        });
        let handles = [0, 1, 2, 3].map(|_| Handle::new(view, GENERATION));
        Arc::new(Self { view, handles, contexts, hosts })
    }

    pub(super) fn view(&self) -> &SlotView<'static> {
        &self.view
    }

    /// The slot, as the participant's handle on its key sees it.
    pub(super) fn ring(&self, me: u32) -> Ring<'_> {
        Ring::new(&self.handles[me as usize], &self.contexts[me as usize])
    }

    /// The slot, as a new handle of the participant on its next key sees it. (The little that is leaked is the memory around loom's atomics.)
    pub(super) fn next_ring(&self, me: u32) -> Ring<'_> {
        Ring::new(Box::leak(Box::new(Handle::new(self.view, GENERATION + 2))), &self.contexts[me as usize])
    }

    /// From now on, the observer finds the participant crashed.
    pub(super) fn crash(&self, participant: u32, observer: u32) {
        self.hosts[observer as usize].crashed.fetch_or(1 << participant, SeqCst);
    }
}

/// A slot of loom's atomics. loom drops what it made when a run ends, so what is leaked here is the memory around it.
fn heap_slot(cells: usize, words: usize, cursors: usize) -> SlotView<'static> {
    let cell = || (CellHeader::default(), (0..words).map(|_| AtomicU64::new(0)).collect());
    let cells: Vec<_> = (0..cells).map(|_| cell()).collect();
    let cursors: Vec<_> = (0..cursors).map(|_| AtomicU64::new(0)).collect();
    SlotView { header: Box::leak(Box::default()), cursors: cursors.leak(), cells: Cells(cells.leak()) }
}

pub(super) fn value(mark: u8) -> [u8; 16] {
    [mark; 16]
}

/// The mark of a value, all of which must be the same.
pub(super) fn whole(bytes: &[u8]) -> u8 {
    assert_eq!(bytes.len(), 16, "a torn length");
    assert!(bytes.iter().all(|&byte| byte == bytes[0]), "a torn value: {bytes:?}");
    bytes[0]
}

pub(super) fn publish(ring: Ring<'_>, mark: u8) -> Result<u64, CommitError> {
    ring.publish(&value(mark))
}

/// Steps one to four, and the compare-and-swap of step five: killed before it can mark its cell whole.
pub(super) fn publish_and_die(ring: Ring<'_>, mark: u8) {
    let mut claim = ring.claim().unwrap();
    ring.fill(&mut claim, &value(mark));
    let mut seen = ring.head();
    loop {
        match ring.advance(&claim, seen) {
            Advance::Done(_) => return,
            Advance::Overtaken(now) => seen = now,
            Advance::Failed(error) => panic!("{error:?}"),
        }
    }
}

/// A waiter whose sleep lasts until a thread has ended: by then, somebody must have notified the event.
pub(super) struct Sleeper<'a, C> {
    event: &'a Event,
    thread: Option<JoinHandle<()>>,
    check: C,
}

impl<'a, T, C: FnMut() -> Option<T>> Sleeper<'a, C> {
    pub(super) fn new(event: &'a Event, thread: JoinHandle<()>, check: C) -> Self {
        Self { event, thread: Some(thread), check }
    }

    /// Waits by the loop by which the store waits.
    pub(super) fn wait(mut self) -> Option<T> {
        let found = wait(&mut self);
        self.join();
        found
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl<T, C: FnMut() -> Option<T>> Waiter for Sleeper<'_, C> {
    type Listened = u32;
    type Found = T;

    fn listen(&mut self) -> u32 {
        self.event.listen()
    }

    fn check(&mut self) -> Option<T> {
        (self.check)()
    }

    fn sleep(&mut self, word: u32) -> Slept {
        self.join();
        assert!(!self.event.is_quiet(word), "left asleep although it has happened");
        Slept::CheckAgain
    }
}
