//! Shared by all scenarios: a small slot, its participants, and values that show when they are
//! torn.

use std::ops::Range;
use std::sync::atomic::{AtomicU32 as Plain, Ordering::SeqCst};

use loom::sync::Arc;
use loom::thread::JoinHandle;

use crate::core::lookup::Lookup;
use crate::core::memory::cells::{Cells, HeapCell};
use crate::core::memory::extents::{Extents, HeapExtents, Window};
use crate::core::memory::records::{Event, HEADER_CURSORS};
use crate::core::memory::slot_view::SlotView;
use crate::core::memory::words;
use crate::core::place::Tier;
use crate::core::ring::readable;
use crate::core::ring::{
    Advance, CommitError, Context, Handle, Host, NoSpace, Pin, PinNewest, ReadError, Ring, Tags, Unmapped,
};
use crate::core::shape::Shape;
use crate::core::wait::{Slept, Waiter, wait};
use crate::core::word::Residue;
use crate::sync::{AtomicU32, Ordering, fence};

/// The generation of the key in all scenarios, until it is removed.
pub(super) const GENERATION: u64 = 1;

/// A slot of loom's atomics, with a handle for each of the participants 0 to 3.
pub(super) struct Slot {
    view: SlotView<'static>,
    handles: [Handle<'static>; 4],
    contexts: [Context; 4],
    hosts: [std::sync::Arc<Surroundings>; 4],
    extents: &'static HeapExtents,
}

/// The host of one participant: which others it finds crashed, and the space of the store.
struct Surroundings {
    /// A bit for each. Not loom's atomic: it changes only while one thread runs.
    crashed: Plain,
    cells: &'static [HeapCell],
    extents: &'static HeapExtents,
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

    fn cells_reserved(&self, slot: &SlotView<'_>) -> u32 {
        // SeqCst: as in `Mapped::cells_reserved`.
        slot.header.cells_reserved.load(Ordering::SeqCst)
    }

    fn reserve_cells(&self, _: u32, cells: Range<u32>) -> Result<(), NoSpace> {
        self.cells[cells.start as usize..cells.end as usize].iter().for_each(|cell| cell.presence.set());
        Ok(())
    }

    fn reserve_side(&self, _: u32, cell: u32) -> Result<(), NoSpace> {
        self.cells[cell as usize].side_space.reserve();
        Ok(())
    }

    fn reserve(&self, _: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.extents.reserve(bytes);
        Ok(())
    }

    fn reserve_again(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.reserve(slot, bytes)
    }

    fn punch(&self, _: u32, bytes: Range<u64>, _: u64) -> bool {
        self.extents.punch(bytes);
        true
    }

    fn reserve_page(&self, _: u32, cell: u32) -> Result<(), NoSpace> {
        self.cells[cell as usize].page_space.reserve();
        Ok(())
    }

    fn look_at_file(&self) {}

    fn punch_pages(&self, _: u32, cells: Range<u32>) {
        for cell in &self.cells[cells.start as usize..cells.end as usize] {
            cell.page_space.give_back();
        }
    }

    fn read_page(&self, _: u32, cell: u32, out: &mut [u8]) -> bool {
        words::load(std::slice::from_ref(&self.cells[cell as usize].page), out);
        true
    }

    fn extents(&self, _: u32, _: u64) -> Result<Extents<'_>, Unmapped> {
        Ok(Extents(self.extents))
    }

    fn read(&self, _: u32, start: u64, out: &mut [u8]) -> bool {
        self.extents.read(start, out);
        true
    }
}

/// What a slot is like.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    /// How many cells there are addresses for.
    pub(super) max_cells: u32,
    /// How many of them are reserved.
    pub(super) reserved: u32,
    /// How many words an inline value has.
    pub(super) words: usize,
    /// How many bytes the extents have.
    pub(super) span: usize,
    pub(super) checksums: bool,
}

/// A key with so much history, and so many cells in all.
pub(super) fn shape(history: u32, cells: u32) -> Shape {
    Shape { history, spare: cells - history, cursors: HEADER_CURSORS as u32, keeps_long_values: false }
}

impl Slot {
    pub(super) fn new(history: u32, cells: u32) -> Arc<Self> {
        Self::with_checksums(history, cells, false)
    }

    pub(super) fn with_checksums(history: u32, cells: u32, checksums: bool) -> Arc<Self> {
        let shape = shape(history, cells);
        Self::planned(Plan { shape, max_cells: cells, reserved: cells, words: 2, span: 0, checksums })
    }

    /// A slot of loom's atomics, whose key has this shape. loom drops its atomics when a run ends;
    /// the memory around them is leaked.
    pub(super) fn planned(plan: Plan) -> Arc<Self> {
        let cells: Vec<_> = (0..plan.max_cells).map(|_| HeapCell::new(plan.words)).collect();
        let (cells, extents) = (&*cells.leak(), &*Box::leak(Box::new(HeapExtents::new(plan.span))));
        let window = Box::leak(Box::new(Window(Extents(extents))));
        let view =
            SlotView { index: 0, header: Box::leak(Box::default()), further_cursors: &[], cells: Cells(cells), window };
        cells[..plan.reserved as usize].iter().for_each(|cell| cell.presence.set());
        view.header.cells_reserved.store(plan.reserved, Ordering::Relaxed);
        view.header.shape.store(plan.shape.bits(), Ordering::Relaxed);
        view.header.generation.store(GENERATION, Ordering::Relaxed);
        let hosts =
            [0, 1, 2, 3].map(|_| std::sync::Arc::new(Surroundings { crashed: Plain::default(), cells, extents }));
        let contexts = [0, 1, 2, 3].map(|me| Context {
            me,
            checksums: plan.checksums,
            span: plan.span as u64,
            tags: Tags::default(),
            host: hosts[me as usize].clone(),
        });
        let handles = [0, 1, 2, 3].map(|_| Handle::new(view, GENERATION, plan.reserved));
        Arc::new(Self { view, handles, contexts, hosts, extents })
    }

    /// A slot without inline values: a value of 8 bytes is in a page, one of 16 bytes in a medium place,
    /// ones of 24 to 40 bytes in a large one.
    pub(super) fn with_places(history: u32, cells: u32, max_cells: u32, reserved: u32) -> Arc<Self> {
        let span = max_cells as usize * 64;
        let shape = shape(history, cells);
        Self::planned(Plan { shape, max_cells, reserved, words: 0, span, checksums: false })
    }

    pub(super) fn view(&self) -> &SlotView<'static> {
        &self.view
    }

    /// The key, as this participant's handle sees it.
    pub(super) fn ring(&self, me: u32) -> Ring<'_> {
        Ring::new(&self.handles[me as usize], &self.contexts[me as usize])
    }

    /// The slot's next key, as a new handle of this participant sees it. (It leaks the memory
    /// around loom's atomics.)
    pub(super) fn next_ring(&self, me: u32) -> Ring<'_> {
        let cells = self.view.header.cells_reserved.load(Ordering::SeqCst);
        Ring::new(Box::leak(Box::new(Handle::new(self.view, GENERATION + 2, cells))), &self.contexts[me as usize])
    }

    /// Gives the slot, which has no key, its next key, as the directory does. `None`: it cannot have
    /// this shape yet.
    pub(super) fn create_key(&self, me: u32, shape: Shape) -> Option<Ring<'_>> {
        let (ring, header) = (self.ring(me), self.view.header);
        if header.shape.load(Ordering::Relaxed) != shape.bits() {
            // SeqCst: as in the directory.
            fence(Ordering::SeqCst);
            if !ring.is_free() {
                ring.reap_holders();
                if !ring.is_free() {
                    return None;
                }
            }
            header.shape.store(shape.bits(), Ordering::Relaxed);
        }
        let version = ring.skip_to(0);
        header.base_version.store(version, Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        Some(self.next_ring(me))
    }

    /// Asserts that values which can be read are whole, and that no space of places is reserved but for
    /// values. Nobody else uses the slot.
    pub(super) fn assert_sound(&self, ring: Ring<'_>) {
        let mut allowed = Vec::new();
        for (index, cell) in ring.cells() {
            let residue = Residue::of(cell.header);
            for tier in Tier::ALL.into_iter().filter(|&tier| residue.has(tier)) {
                let place = ring.places().get(tier, index);
                allowed.push(place.start..place.start + ring.reserved(index, tier));
            }
            if readable(cell).is_some_and(|version| version > 0) {
                let mut bytes = vec![0; cell.header.len.load(Ordering::Relaxed) as usize];
                words::load(ring.value_words(index, cell, bytes.len()).unwrap(), &mut bytes);
                same(&bytes);
            }
        }
        for page in self.extents.reserved() {
            assert!(allowed.iter().any(|bytes| bytes.contains(&page)), "byte {page} is reserved for nothing");
        }
    }

    /// From now on, the observer finds the participant crashed.
    pub(super) fn crash(&self, participant: u32, observer: u32) {
        self.hosts[observer as usize].crashed.fetch_or(1 << participant, SeqCst);
    }
}

pub(super) fn value(mark: u8) -> [u8; 16] {
    [mark; 16]
}

/// The mark of a value. Panics if the value is torn.
pub(super) fn whole(bytes: &[u8]) -> u8 {
    assert_eq!(bytes.len(), 16, "a torn length");
    assert!(bytes.iter().all(|&byte| byte == bytes[0]), "a torn value: {bytes:?}");
    bytes[0]
}

pub(super) fn publish(ring: Ring<'_>, mark: u8) -> Result<u64, CommitError> {
    ring.publish(&value(mark))
}

/// The byte that a value consists of. Panics if the value is torn.
pub(super) fn same(bytes: &[u8]) -> u8 {
    let first = bytes.first().copied().unwrap_or(0);
    assert!(bytes.iter().all(|&byte| byte == first), "a torn value: {bytes:?}");
    first
}

/// Reads the newest value as the store does: without a pin if that is possible. `None` if the key was
/// removed, there is no value, or publishers were faster each time.
pub(super) fn read(ring: Ring<'_>) -> Option<u8> {
    let mut bytes = Vec::new();
    match ring.copy_newest(&mut bytes) {
        Ok(version) => version.map(|_| same(&bytes)),
        Err(ReadError::Long | ReadError::Overtaken) => {
            let pin = ring.pin_newest(|_| false).ok()??;
            assert!(ring.copy_pinned(pin, &mut bytes));
            let read = same(&bytes);
            ring.copy_pinned(pin, &mut bytes);
            assert_eq!(same(&bytes), read, "a pinned value changed");
            ring.unpin(pin.cell);
            Some(read)
        }
        Err(error) => {
            assert_eq!(error, ReadError::Removed);
            None
        }
    }
}

/// Publishes a value of this length.
pub(super) fn publish_long(ring: Ring<'_>, mark: u8, len: usize) -> Result<u64, CommitError> {
    ring.publish(&vec![mark; len])
}

/// Publishes up to the move of `head`, and crashes before the cell is committed.
pub(super) fn publish_and_crash(ring: Ring<'_>, mark: u8) {
    let mut claim = ring.claim().unwrap();
    ring.fill(&mut claim, &value(mark)).unwrap();
    let mut seen = ring.head();
    loop {
        match ring.advance(&claim, seen) {
            Advance::Done(_) => return,
            Advance::Overtaken(now) => seen = now,
            Advance::Failed(error) => panic!("{error:?}"),
        }
    }
}

/// The mark of this version, if it can be read.
pub(super) fn copied(ring: Ring<'_>, version: u64) -> Option<u8> {
    let mut bytes = Vec::new();
    (ring.copy_version(version, &mut bytes) == Ok(Lookup::Found(()))).then(|| whole(&bytes))
}

/// Pins for a participant that has one thread.
pub(super) struct Pinned;

impl PinNewest for Pinned {
    fn pin(&self, ring: Ring<'_>) -> Result<Option<Pin>, ReadError> {
        ring.pin_newest(|_| false)
    }

    fn unpin(&self, ring: Ring<'_>, pin: Pin) {
        ring.unpin(pin.cell);
    }
}

/// Removes the key, as the directory does.
pub(super) fn remove_key(ring: Ring<'_>) {
    ring.slot().header.generation.store(GENERATION + 1, Ordering::SeqCst);
    ring.clear();
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
