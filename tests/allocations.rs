//! Publishing and receiving messages allocates no memory. A counting allocator checks this.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use splinter_bus::store::{Store, StoreOptions};
use splinter_bus::{Bus, Message, SubscribeOptions};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// An allocator that counts the allocations of each thread.
struct Counting;

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: our caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: our caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns how often `act` allocates after all buffers have reached their final size.
fn allocations(mut act: impl FnMut()) -> u64 {
    (0..100).for_each(|_| act());
    let before = COUNT.get();
    (0..1000).for_each(|_| act());
    COUNT.get() - before
}

#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Plain {
    numbers: [u64; 8],
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Text<'a> {
    text: &'a str,
}

struct Stored(String);

impl Drop for Stored {
    fn drop(&mut self) {
        Store::remove(&self.0).expect("the store is there");
    }
}

fn stored(what: &str) -> (Stored, Store) {
    let name = format!("splinter-test-{}-{what}", std::process::id());
    // Small: valgrind keeps a record of all addresses that are mapped.
    let store = StoreOptions::new().slots(4).create(&name).unwrap();
    (Stored(name), store)
}

#[test]
fn the_counter_counts_an_allocation() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1000);
}

#[test]
fn publishing_and_getting_bytes_allocates_nothing() {
    let (_stored, store) = stored("bytes");
    let (slot, mut value) = (store.slot("k").unwrap(), Vec::new());
    let count = allocations(|| {
        slot.set(&[7; 100]).unwrap();
        slot.get_into(&mut value).unwrap();
        slot.get_version_into(slot.version() - 1, &mut value).map(drop).unwrap();
        store.set("k", &[8; 10]).unwrap();
        store.get_into("k", &mut value).unwrap();
        drop(slot.pin().unwrap());
        slot.loan(50).unwrap().send().unwrap();
    });
    assert_eq!(count, 0);
}

#[test]
fn publishing_and_receiving_plain_messages_allocates_nothing() {
    let (_stored, store) = stored("plain");
    let bus: Bus<Plain> = Bus::on(store);
    let mut publisher = bus.publisher("k").unwrap().from("somebody").to("everybody").trace("trace");
    let mut subscriber = bus.subscribe("k").unwrap();
    let mut lossless = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    let count = allocations(|| {
        publisher.publish(&Plain { numbers: [1; 8] }).unwrap();
        assert_eq!(subscriber.recv().unwrap().numbers, [1; 8]);
        assert_eq!(lossless.recv().unwrap().envelope().from(), "somebody");
        publisher.message(&Plain { numbers: [2; 8] }).to("me").reply_to("answers").attempt(2).send().unwrap();
        assert_eq!(subscriber.recv().unwrap().envelope().reply_to(), "answers");
        assert_eq!(lossless.recv().unwrap().envelope().to(), "me");
        publisher.loan_zeroed().unwrap().send().unwrap();
        assert_eq!(subscriber.recv_sample().unwrap().numbers, [0; 8]);
        assert_eq!(lossless.recv_sample().unwrap().numbers, [0; 8]);
        assert_eq!(bus.sample("k").unwrap().unwrap().numbers, [0; 8]);
    });
    assert_eq!(count, 0);
}

#[test]
fn working_on_plain_jobs_allocates_nothing() {
    let (_stored, store) = stored("jobs");
    let bus: Bus<Plain> = Bus::on(store);
    let (mut publisher, mut queue) = (bus.publisher("k").unwrap(), bus.work_queue("k").unwrap());
    let count = allocations(|| {
        publisher.publish(&Plain { numbers: [1; 8] }).unwrap();
        queue.recv().unwrap().acknowledge().unwrap();
    });
    assert_eq!(count, 0);
}

#[test]
fn a_message_that_borrows_is_published_and_viewed_without_allocating() {
    let (_stored, store) = stored("text");
    let bus: Bus<Text<'static>> = Bus::on(store);
    let (mut publisher, mut subscriber) = (bus.publisher("k").unwrap(), bus.subscribe("k").unwrap());
    let count = allocations(|| {
        publisher.publish(&Text { text: "Why is the sky blue?" }).unwrap();
        let sample = subscriber.recv_sample().unwrap();
        assert_eq!(sample.view().unwrap().text, "Why is the sky blue?");
    });
    assert_eq!(count, 0);
}
