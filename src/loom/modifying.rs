//! Read-modify-write of the newest value by two publishers at once.

use loom::thread;

use super::support::{Pinned, Slot};
use crate::core::ring::{ModifyError, RejectedInteger, Ring};
use crate::sync::watched::model;

#[test]
fn two_appends_at_once_lose_no_bytes() {
    model(|| {
        let slot = Slot::new(1, 3);
        let append = |ring: Ring<'_>, tail: u8| ring.append(&[tail; 8], 16, &Pinned).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || append(slot.ring(1), 1))
        };
        append(slot.ring(2), 2);
        other.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(2)));
        let mut marks: Vec<_> = bytes.chunks(8).map(|mark| mark[0]).collect();
        marks.sort();
        assert_eq!(marks, [1, 2]);
    });
}

#[test]
fn two_increments_at_once_lose_no_count() {
    model(|| {
        let slot = Slot::new(1, 3);
        let count = |ring: Ring<'_>| ring.modify_integer(|n| Some(n + 1)).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || count(slot.ring(1)))
        };
        let mut seen = [count(slot.ring(2)), other.join().unwrap()];
        seen.sort();
        assert_eq!(seen, [0, 1]);
        let unwanted = slot.ring(0).modify_integer(|_| None);
        assert_eq!(unwanted, Err(ModifyError::Rejected(RejectedInteger::Declined(2))));
    });
}
