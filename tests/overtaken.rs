//! Publishers overtake a reader at every attempt. The reader gets the value, and no error that the
//! store is damaged.

mod support;

use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{KeyOptions, Slot, StoreOptions};
use support::{DEADLINE, Name};

/// Copying a value of this length takes longer than the time between two signals.
const LEN: usize = 4 << 20;

static VALUE: [u8; LEN] = [7; LEN];
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());
static SIGNALS: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Overtakes the thread that it interrupts: it writes all cells once, as publishers on faster cores
/// would.
extern "C" fn overtake(_: libc::c_int) {
    // SAFETY: it points to a slot that is never dropped.
    let slot = unsafe { &*SLOT.load(Ordering::SeqCst) };
    for _ in 0..3 {
        if slot.set(&VALUE).is_err() {
            REFUSED.store(true, Ordering::SeqCst);
        }
    }
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_reader_that_is_overtaken_at_every_attempt_pins_the_value_and_reads_it() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(1).key_options(KeyOptions::new().history(1).spare(2)));
    let slot = store.slot("k").unwrap();
    slot.set(&VALUE).unwrap();
    SLOT.store(Box::into_raw(Box::new(store.slot("k").unwrap())), Ordering::SeqCst);
    // SAFETY: a zeroed `sigaction` is valid, with no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = overtake as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is initialised. Its handler is safe in a signal: `set` allocates nothing and
    // takes no lock as long as it finds a cell.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);

    let reader = thread::spawn(move || {
        let mut value = Vec::with_capacity(LEN);
        let before = SIGNALS.load(Ordering::SeqCst);
        let read = slot.get_into(&mut value);
        (read, value, SIGNALS.load(Ordering::SeqCst) - before)
    });
    let start = Instant::now();
    while !reader.is_finished() {
        assert!(start.elapsed() < DEADLINE, "the reader does not return");
        let sent = SIGNALS.load(Ordering::SeqCst);
        // SAFETY: the thread was not joined, so its id is valid.
        unsafe { libc::pthread_kill(reader.as_pthread_t(), libc::SIGUSR1) };
        while SIGNALS.load(Ordering::SeqCst) == sent && !reader.is_finished() {
            thread::yield_now();
        }
        // Sets the pace: the reader continues for this long, which is not enough to copy the value.
        thread::sleep(Duration::from_micros(50));
    }
    let (read, value, signals) = reader.join().unwrap();
    assert!(read.expect("the store is not damaged").is_some());
    assert!(value == VALUE, "a torn value");
    assert!(signals >= 2, "overtaken only {signals} times, which proves nothing");
    assert!(!REFUSED.load(Ordering::SeqCst), "a publisher found no cell although only one of three is pinned");
}
