//! Look-ups under loom, beside what the holder of the directory does.

use loom::sync::Arc;
use loom::thread;

use crate::core::index::{Indexed, SlotRef, assign, delete, find, insert, rebuild, slot_ref_of, unassign};
use crate::core::key::Key;
use crate::core::memory::records::{DirectoryHeader, SlotHeader};
use crate::sync::watched::model;
use crate::sync::{AtomicU64, Ordering};

struct Heap {
    directory: DirectoryHeader,
    tables: [Vec<AtomicU64>; 2],
    headers: Vec<SlotHeader>,
}

impl Heap {
    /// Room for this many keys.
    fn new(slots: usize) -> Self {
        let table = || (0..2 * slots).map(|_| AtomicU64::new(0)).collect();
        let headers = (0..slots).map(|_| SlotHeader::default()).collect();
        Self { directory: DirectoryHeader::default(), tables: [table(), table()], headers }
    }

    /// Has a key created, by the one who may.
    fn insert(&self, key: &str, slot: u32) {
        let key = Key::new(key).unwrap();
        assign(self.slot_header(slot), &key, 0);
        insert(self.active_table(), key.hash(), slot);
    }

    fn remove(&self, key: &str, slot: u32) {
        unassign(self.slot_header(slot));
        delete(self.active_table(), Key::new(key).unwrap().hash(), slot, 0);
    }

    fn active_table(&self) -> &[AtomicU64] {
        self.table(self.directory.active.load(Ordering::Relaxed))
    }

    fn find(&self, key: &str) -> Option<SlotRef> {
        find(self, &Key::new(key).unwrap())
    }
}

impl Indexed for Heap {
    fn directory_header(&self) -> &DirectoryHeader {
        &self.directory
    }

    fn table(&self, which: u64) -> &[AtomicU64] {
        &self.tables[(which & 1) as usize]
    }

    fn slots(&self) -> u32 {
        self.headers.len() as u32
    }

    fn slot_header(&self, slot: u32) -> &SlotHeader {
        &self.headers[slot as usize]
    }
}

/// Keys whose searches all begin in the same place of a table of this length.
fn neighbours<const N: usize>(len: u64) -> [String; N] {
    let mut keys = (0..).map(|number: u32| number.to_string()).filter(|key| Key::new(key).unwrap().hash() % len == 0);
    [(); N].map(|()| keys.next().unwrap())
}

#[test]
fn a_slot_that_changes_hands_is_taken_for_no_key_but_its_own() {
    // Two words each, and two whose words are theirs.
    let [old, new, halves] = ["aaaaaaa1111", "bbbbbbb2222", "bbbbbbb1111"];
    for (key, generation) in [(old, Some(1)), (new, Some(3)), (halves, None), ("aaaaaaa2222", None)] {
        model(move || {
            let heap = Arc::new(Heap::new(1));
            heap.insert(old, 0);
            let changer = {
                let heap = heap.clone();
                thread::spawn(move || {
                    unassign(heap.slot_header(0));
                    assign(heap.slot_header(0), &Key::new(new).unwrap(), 0);
                })
            };
            // Whatever the index says.
            let place = slot_ref_of(&*heap, 0, &Key::new(key).unwrap());
            assert!(place.is_none_or(|place| Some(place.generation) == generation), "{key}: {place:?}");
            changer.join().unwrap();
        });
    }
}

#[test]
fn a_key_that_is_removed_is_not_found_and_neither_are_its_words() {
    model(|| {
        let heap = Arc::new(Heap::new(1));
        heap.insert("a", 0);
        let remover = {
            let heap = heap.clone();
            thread::spawn(move || heap.remove("a", 0))
        };
        assert!(heap.find("a").is_none_or(|place| place == SlotRef { slot: 0, generation: 1 }));
        remover.join().unwrap();
        assert_eq!(heap.find("a"), None);
        assert_eq!(slot_ref_of(&*heap, 0, &Key::new("a").unwrap()), None);
    });
}

#[test]
fn a_key_is_found_while_the_index_is_rebuilt() {
    model(|| {
        let heap = Arc::new(Heap::new(1));
        heap.insert("a", 0);
        let holder = {
            let heap = heap.clone();
            // Twice, so that the table in which somebody may still search is emptied.
            thread::spawn(move || (0..2).for_each(|_| rebuild(&*heap, 1)))
        };
        assert_eq!(heap.find("a"), Some(SlotRef { slot: 0, generation: 1 }));
        holder.join().unwrap();
    });
}

#[test]
fn a_key_is_found_while_its_neighbours_come_and_go() {
    let keys = neighbours::<3>(8);
    model(move || {
        let [first, second, third] = &keys;
        let heap = Arc::new(Heap::new(4));
        for (slot, key) in (0..).zip(&keys) {
            heap.insert(key, slot);
        }
        let holder = {
            let (heap, [first, second, _]) = (heap.clone(), keys.clone());
            thread::spawn(move || {
                heap.remove(&first, 0);
                heap.remove(&second, 1);
                heap.insert(&second, 0);
            })
        };
        assert_eq!(heap.find(third), Some(SlotRef { slot: 2, generation: 1 }));
        let place = heap.find(second);
        holder.join().unwrap();
        let (before, after) = (SlotRef { slot: 1, generation: 1 }, SlotRef { slot: 0, generation: 3 });
        assert!(place.is_none_or(|place| place == before || place == after), "{place:?}");
        assert_eq!(
            [heap.find(first), heap.find(second), heap.find(third)],
            [None, Some(after), Some(SlotRef { slot: 2, generation: 1 })]
        );
    });
}
