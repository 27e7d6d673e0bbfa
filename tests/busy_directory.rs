//! Operations while another process is stopped and holds the lock of the key directory.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::bus::{PublishError, SubscribeOptions, WaitSet, Waited};
use splinter_bus::store::{DirectoryError, KeyOptions, SetError, Store, StoreOptions};
use splinter_bus::{Bus, RecvError};
use support::{ForeignLock, Name, wait_until};

/// The offset of the directory's lock. The locks of participants start 1024 bytes before it.
const DIRECTORY: i64 = (1 << 62) + 1024;

/// Threads of this process that try to create a key and wait for the directory's lock.
struct Waiting {
    threads: Vec<thread::JoinHandle<bool>>,
    /// The directory's lock, held through another open file, as by another process.
    lock: ForeignLock,
}

impl Waiting {
    fn new(name: &Name, store: &Store) -> Self {
        let lock = ForeignLock::new(&name.path(), DIRECTORY, 1);
        let begun = Arc::new(AtomicBool::new(false));
        let threads = (0..3).map(|number| {
            let (store, begun) = (store.clone(), Arc::clone(&begun));
            thread::spawn(move || {
                begun.store(true, Ordering::SeqCst);
                store.slot(&format!("new {number}")).is_ok()
            })
        });
        let threads = threads.collect();
        wait_until("a thread waits for the directory", || begun.load(Ordering::SeqCst));
        Self { threads, lock }
    }

    /// Returns whether all threads still wait. If so, what was done since they started did not wait
    /// for the lock.
    fn are_all_waiting(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Releases the lock, so that the threads create their keys.
    fn end(self) {
        drop(self.lock);
        assert!(self.threads.into_iter().all(|thread| thread.join().unwrap()), "a thread could not create its key");
    }
}

/// Repeats `act` for some time, so that the waiting threads meet it in different states.
fn for_a_while(mut act: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        act();
        thread::yield_now();
    }
}

fn store(name: &Name) -> (Store, Bus<Vec<u8>>) {
    let store = name.create(&StoreOptions::new().slots(16).key_options(KeyOptions::new().history(4).spare(4)));
    (store.clone(), Bus::on(store))
}

#[test]
fn try_operations_never_wait_for_the_directory() {
    let name = Name::new();
    let (store, bus) = store(&name);
    let mut one = bus.subscribe("k").unwrap();
    let mut lossless = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    let mut queue = bus.work_queue("q").unwrap();
    store.unset("k").unwrap();
    store.unset("q").unwrap();
    assert!(matches!(one.try_recv(), Err(RecvError::Removed { .. })));
    assert!(matches!(lossless.try_recv(), Err(RecvError::Removed { .. })));
    assert!(matches!(queue.try_recv(), Err(RecvError::Removed { .. })));

    let waiting = Waiting::new(&name, &store);
    for_a_while(|| {
        assert!(one.try_recv().unwrap().is_none());
        assert!(one.try_recv_sample().unwrap().is_none());
        assert!(lossless.try_recv().unwrap().is_none());
        assert!(queue.try_recv().unwrap().is_none());
        assert!(bus.get("k").unwrap().is_none());
        assert!(bus.sample("k").unwrap().is_none());
        assert_eq!(store.poll("k", Some(Duration::ZERO)).unwrap(), None);
        assert_eq!(store.get("k").unwrap(), None);
        assert_eq!(store.keys().len(), 0);
    });
    // A wait set does not report a ready source at every check, only when it is time to try again.
    wait_until("a wait set has nothing to report", || {
        assert!(one.try_recv().unwrap().is_none());
        assert!(queue.try_recv().unwrap().is_none());
        WaitSet::new().wait(&[&one, &queue], Some(Duration::ZERO)).unwrap() == Waited::TimedOut
    });
    assert!(waiting.are_all_waiting());
    waiting.end();

    bus.publish("k", &b"again".to_vec()).unwrap();
    assert_eq!(**one.try_recv().unwrap().unwrap(), *b"again");
    assert_eq!(**lossless.try_recv().unwrap().unwrap(), *b"again");
    assert!(queue.try_recv().unwrap().is_none());
}

#[test]
fn a_timeout_includes_the_wait_for_the_directory() {
    let name = Name::new();
    let (store, bus) = store(&name);
    let mut subscriber = bus.subscribe("k").unwrap();
    let mut queue = bus.work_queue("q").unwrap();
    let mut publisher = bus.publisher("p").unwrap();
    for key in ["k", "q", "p"] {
        store.unset(key).unwrap();
    }
    assert!(matches!(subscriber.try_recv(), Err(RecvError::Removed { .. })));
    assert!(matches!(queue.try_recv(), Err(RecvError::Removed { .. })));

    let waiting = Waiting::new(&name, &store);
    let short = Duration::from_millis(5);
    for_a_while(|| {
        assert!(subscriber.recv_timeout(short).unwrap().is_none());
        assert!(subscriber.recv_sample_timeout(short).unwrap().is_none());
        assert!(queue.recv_timeout(short).unwrap().is_none());
        assert_eq!(store.poll("none", Some(short)).unwrap(), None);
        assert_eq!(store.poll_after("none", 3, Some(short)).unwrap(), None);
        let refused = publisher.publish_timeout(&b"message".to_vec(), short);
        let Err(PublishError::Set(SetError::Directory(DirectoryError::Busy { waited, .. }))) = refused else {
            panic!("{refused:?}");
        };
        assert!(waited <= short);
    });
    assert!(waiting.are_all_waiting());
    waiting.end();
    publisher.publish_timeout(&b"message".to_vec(), short * 1000).unwrap();
    assert!(store.get("p").unwrap().is_some());
}

#[cfg(feature = "async")]
#[test]
fn polling_a_task_never_blocks_its_runtime() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    let name = Name::new();
    let (store, bus) = store(&name);
    let subscriber = bus.subscribe("k").unwrap().into_async().unwrap();
    let queue = bus.work_queue("q").unwrap().into_async().unwrap();
    store.unset("k").unwrap();
    store.unset("q").unwrap();
    assert!(matches!(subscriber.try_recv(), Err(RecvError::Removed { .. })));
    assert!(matches!(queue.try_recv(), Err(RecvError::Removed { .. })));

    let waiting = Waiting::new(&name, &store);
    for_a_while(|| {
        let context = &mut Context::from_waker(Waker::noop());
        let (mut message, mut job) = (pin!(subscriber.recv()), pin!(queue.recv()));
        assert!(matches!(message.as_mut().poll(context), Poll::Pending));
        assert!(matches!(job.as_mut().poll(context), Poll::Pending));
        assert!(subscriber.try_recv().unwrap().is_none());
        assert!(queue.try_recv().unwrap().is_none());
    });
    assert!(waiting.are_all_waiting());
    waiting.end();
    bus.publish("k", &b"again".to_vec()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(**runtime.block_on(subscriber.recv()).unwrap(), *b"again");
}
