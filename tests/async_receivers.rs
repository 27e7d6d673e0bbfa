//! Receiving in tasks: on tokio, and on the simplest executor.

#![cfg(feature = "async")]

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_core::Stream;
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{AsyncSubscriber, Bus, Message, RecvError, SubscribeOptions};
use support::{Actor, DEADLINE, Name};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Tick {
    count: u64,
}

fn bus(name: &Name) -> Bus<Tick> {
    Bus::on(name.create(&StoreOptions::new().slots(256).key_options(KeyOptions::new().history(32).spare(8))))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let bus = Bus::<Tick>::on(support::open_soon(&arguments[0]));
    match role.as_str() {
        "publisher" => {
            let mut publisher = bus.publisher("k").unwrap();
            for count in 0..10_000 {
                publisher.publish_timeout(&Tick { count }, DEADLINE).unwrap();
            }
        }
        "worker" => {
            let _job = bus.work_queue("work").unwrap().recv().unwrap();
            bus.store().set("held", b"yes").unwrap();
            loop {
                thread::park();
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The simplest executor: one future, one thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(DEADLINE),
        }
    }
}

/// Polls a future once, which must be pending. Then calls `act`, which makes it ready, and polls it
/// again when it is woken.
fn woken_by<F: Future>(future: F, act: impl FnOnce()) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    act();
    thread::park_timeout(DEADLINE);
    block_on(future)
}

/// Awaits a future. Adds one to `waiting` if its first poll returns pending.
async fn counted<F: Future>(future: F, waiting: &AtomicU64) -> F::Output {
    let mut future = pin!(future);
    let first = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
    if let Poll::Ready(output) = first.await {
        return output;
    }
    waiting.fetch_add(1, Ordering::Relaxed);
    future.await
}

/// Polls a future once.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns the next item of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn an_executor_of_one_thread_receives_all_messages_of_another_process() {
    let name = Name::new();
    let bus = bus(&name);
    let ticks = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap().into_async().unwrap();
    let publisher = Actor::spawn("publisher", &[&name]);
    for expected in 0..10_000 {
        assert_eq!(block_on(ticks.recv()).unwrap().count, expected);
    }
    publisher.finish();
    assert!(ticks.try_recv().unwrap().is_none());
}

#[test]
fn tokio_receives_all_messages_of_another_process_as_a_stream() {
    let name = Name::new();
    let bus = bus(&name);
    let mut ticks = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap().into_async().unwrap();
    let publisher = Actor::spawn("publisher", &[&name]);
    runtime().block_on(async {
        for expected in 0..10_000 {
            assert_eq!(next(&mut ticks).await.unwrap().unwrap().count, expected);
        }
    });
    publisher.finish();
}

#[test]
fn a_dropped_future_loses_no_message() {
    let name = Name::new();
    let bus = bus(&name);
    let ticks = bus.subscribe("k").unwrap().into_async().unwrap();
    runtime().block_on(async {
        for count in 0..200 {
            // The future is dropped while it waits, or when there is a message.
            let waiting = tokio::time::timeout(Duration::from_micros(count * 5), ticks.recv()).await;
            assert!(waiting.is_err());
            let mut woken = Box::pin(ticks.recv());
            assert!(poll_once(woken.as_mut()).is_pending());
            bus.publish("k", &Tick { count }).unwrap();
            tokio::task::yield_now().await;
            drop(woken);
            assert_eq!(ticks.recv().await.unwrap().count, count);
        }
    });
}

#[test]
fn each_message_of_a_subscriber_goes_to_one_of_its_tasks() {
    let name = Name::new();
    let bus = bus(&name);
    let options = SubscribeOptions::new().lossless();
    let ticks = Arc::new(bus.subscribe_with("k", &options).unwrap().into_async().unwrap());
    runtime().block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let ticks = Arc::clone(&ticks);
                tokio::spawn(async move { [ticks.recv().await.unwrap().count, ticks.recv().await.unwrap().count] })
            })
            .collect();
        let mut publisher = bus.publisher("k").unwrap();
        let publishing = tokio::task::spawn_blocking(move || {
            for count in 0..100 {
                publisher.publish_timeout(&Tick { count }, DEADLINE).unwrap();
            }
        });
        let mut seen = Vec::new();
        for task in tasks {
            seen.extend(task.await.unwrap());
        }
        publishing.await.unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn each_job_goes_to_one_task_and_jobs_of_a_killed_worker_go_to_another() {
    let name = Name::new();
    let bus = bus(&name);
    let queue = Arc::new(bus.work_queue("work").unwrap().into_async().unwrap());
    bus.publish("work", &Tick { count: 0 }).unwrap();
    let mut dead = Actor::spawn("worker", &[&name]);
    bus.store().poll_after("held", 0, Some(DEADLINE)).unwrap().expect("a worker");
    runtime().block_on(async {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let job = queue.recv().await.unwrap();
                    let what = (job.count, job.attempt());
                    job.acknowledge().unwrap();
                    what
                })
            })
            .collect();
        for count in 1..10 {
            bus.publish("work", &Tick { count }).unwrap();
        }
        dead.kill();
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await.unwrap());
        }
        done.sort_unstable();
        let expected: Vec<_> = (0..10).map(|count| (count, if count == 0 { 2 } else { 1 })).collect();
        assert_eq!(done, expected);
    });
}

#[test]
fn a_removed_key_wakes_tasks() {
    let name = Name::new();
    let bus = bus(&name);
    let bytes = Bus::<Vec<u8>>::on(bus.store().clone());
    let large = bytes.subscribe("large").unwrap().into_async().unwrap();
    for len in [3000, 100_000] {
        bytes.publish("large", &vec![7; len]).unwrap();
        assert_eq!(block_on(large.recv()).unwrap().len(), len);
    }
    let removed = woken_by(large.recv(), || assert!(bus.store().unset("large").unwrap()));
    assert!(matches!(removed, Err(RecvError::Removed { .. })));
    let published = woken_by(large.recv(), || _ = bytes.publish("large", &vec![1]).unwrap());
    assert_eq!(**published.unwrap(), [1]);
}

#[test]
fn a_missing_part_wakes_tasks() {
    let name = Name::new();
    // The longest value of a key with this many cells has 65,536 bytes.
    let keys = KeyOptions::new().history(4096).spare(4096);
    let bytes = Bus::<Vec<u8>>::on(name.create(&StoreOptions::new().slots(4).key_options(keys)));
    let options = SubscribeOptions::new().part_timeout(Duration::from_millis(30));
    let large = bytes.subscribe_with("large", &options).unwrap().into_async().unwrap();
    bytes.publisher("large").unwrap().publish(&vec![7; 100_000]).unwrap();
    let (slot, mut first) = (bytes.store().slot("large").unwrap(), Vec::new());
    slot.get_version_into(1, &mut first).unwrap();
    assert_eq!(block_on(large.recv()).unwrap().len(), 100_000);
    slot.set(&first).unwrap();
    assert!(matches!(block_on(large.recv()), Err(RecvError::Incomplete { .. })));
}

/// Returns the user and system time of this process.
fn cpu_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}

/// Returns the number of threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn ten_thousand_tasks_on_a_hundred_subscribers_wait_in_one_idle_thread() {
    // In a process of its own, so that only its own threads and time are measured.
    if std::env::var_os("SPLINTER_TEST_ALONE").is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "ten_thousand_tasks_on_a_hundred_subscribers_wait_in_one_idle_thread"]);
        assert!(alone.arg("--nocapture").env("SPLINTER_TEST_ALONE", "yes").status().unwrap().success());
        return;
    }
    let name = Name::new();
    let bus = bus(&name);
    let before = threads();
    let options = SubscribeOptions::new().lossless();
    let subscribers: Vec<Arc<AsyncSubscriber<Tick>>> = (0..100)
        .map(|key| Arc::new(bus.subscribe_with(&format!("key {key}"), &options).unwrap().into_async().unwrap()))
        .collect();
    assert_eq!(threads(), before + 1, "one thread for all");
    let received = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..10_000)
            .map(|task| {
                let (ticks, received) = (Arc::clone(&subscribers[task % 100]), Arc::clone(&received));
                tokio::spawn(async move {
                    ticks.recv().await.unwrap();
                    received.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        // After this all of them wait.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let (start, cpu) = (Instant::now(), cpu_time());
        // This does not wait for an event. It is the time in which the process must stay idle.
        thread::sleep(Duration::from_secs(2));
        let (idle, worked) = (start.elapsed(), cpu_time() - cpu);
        println!("10,000 tasks wait for 100 subscribers: {worked:?} of work in {idle:?}");
        assert!(worked < idle / 10, "busy while idle: {worked:?} of {idle:?}");
        assert_eq!(received.load(Ordering::Relaxed), 0);
        let publishing = thread::spawn(move || {
            for count in 0..100 {
                for key in 0..100 {
                    bus.publisher(&format!("key {key}")).unwrap().publish_timeout(&Tick { count }, DEADLINE).unwrap();
                }
            }
        });
        for task in tasks {
            task.await.unwrap();
        }
        publishing.join().unwrap();
        assert_eq!((received.load(Ordering::Relaxed), threads()), (10_000, before + 1));
    });
}

#[test]
fn tasks_wait_for_more_keys_than_one_system_call_supports() {
    let name = Name::new();
    let bus = bus(&name);
    let subscribers: Vec<_> =
        (0..200).map(|key| bus.subscribe(&format!("key {key}")).unwrap().into_async().unwrap()).collect();
    runtime().block_on(async {
        let waiting = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = subscribers
            .into_iter()
            .map(|ticks| {
                let waiting = Arc::clone(&waiting);
                tokio::spawn(async move { counted(ticks.recv(), &waiting).await.unwrap().count })
            })
            .collect();
        support::wait_until("all tasks wait", || waiting.load(Ordering::Relaxed) == 200);
        for key in (0..200).rev() {
            bus.publish(&format!("key {key}"), &Tick { count: key }).unwrap();
        }
        for (task, key) in tasks.into_iter().zip(0..) {
            assert_eq!(task.await.unwrap(), key);
        }
    });
}

/// A waker that records that it was called.
struct Flag {
    thread: Thread,
    is_set: AtomicBool,
}

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), is_set: AtomicBool::new(false) })
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.is_set.load(Ordering::SeqCst) {
            assert!(start.elapsed() < DEADLINE, "never woken");
            thread::park_timeout(DEADLINE);
        }
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_set.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// What a waker of [`BAD`] does.
mod bad {
    pub(super) const PANIC_IN_CLONE: u32 = 1;
    pub(super) const PANIC_IN_WAKE: u32 = 2;
    pub(super) const PANIC_IN_DROP: u32 = 4;
    /// A panic payload that panics when it is dropped.
    pub(super) const THROW_A_BOMB: u32 = 8;
}

static BAD: AtomicU32 = AtomicU32::new(0);
static WOKEN: AtomicU32 = AtomicU32::new(0);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the panic payload, when it is dropped");
    }
}

fn panic_if(what: u32) {
    let bad = BAD.load(Ordering::SeqCst);
    if bad & what != 0 {
        if bad & bad::THROW_A_BOMB != 0 {
            panic_any(Bomb);
        }
        panic!("a waker");
    }
}

/// Returns a waker that panics, as one of a faulty runtime.
fn bad_waker() -> Waker {
    const VTABLE: RawWakerVTable = RawWakerVTable::new(
        |_| {
            panic_if(bad::PANIC_IN_CLONE);
            RawWaker::new(std::ptr::null(), &VTABLE)
        },
        |_| {
            WOKEN.fetch_add(1, Ordering::SeqCst);
            panic_if(bad::PANIC_IN_WAKE);
        },
        |_| {},
        |_| panic_if(bad::PANIC_IN_DROP),
    );
    // SAFETY: the functions do not use the pointer, and any thread may call them.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) }
}

#[test]
fn a_panic_in_a_waker_does_not_keep_other_tasks_asleep() {
    let name = Name::new();
    let bus = bus(&name);
    let [bad_ticks, ticks] = ["bad", "good"].map(|key| bus.subscribe(key).unwrap().into_async().unwrap());
    let waker = std::mem::ManuallyDrop::new(bad_waker());
    let is_woken = |what: &str| {
        let flag = Flag::new();
        let mut future = pin!(ticks.recv());
        let waker = Waker::from(Arc::clone(&flag));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        bus.publish("good", &Tick { count: 1 }).unwrap();
        flag.wait();
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(), "{what}");
    };
    for wake in [bad::PANIC_IN_WAKE, bad::PANIC_IN_WAKE | bad::THROW_A_BOMB] {
        let woken = WOKEN.load(Ordering::SeqCst);
        let mut future = Box::pin(bad_ticks.recv());
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        BAD.store(wake, Ordering::SeqCst);
        bus.publish("bad", &Tick { count: 0 }).unwrap();
        support::wait_until("the waker panics", || WOKEN.load(Ordering::SeqCst) > woken);
        is_woken("after a panic in wake");
        BAD.store(0, Ordering::SeqCst);
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(), "the message is still there");
    }
    // These two panic in the thread of the task. Other tasks continue.
    BAD.store(bad::PANIC_IN_CLONE, Ordering::SeqCst);
    let mut future = Box::pin(bad_ticks.recv());
    let poll = || future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    is_woken("after a panic in clone");
    BAD.store(0, Ordering::SeqCst);
    let mut future = Box::pin(bad_ticks.recv());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    BAD.store(bad::PANIC_IN_DROP, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(future))).is_err());
    is_woken("after a panic in drop");
    BAD.store(0, Ordering::SeqCst);
    bus.publish("bad", &Tick { count: 2 }).unwrap();
    assert_eq!(block_on(bad_ticks.recv()).unwrap().count, 2);
    // The thread of the process still runs, and new tasks can wait.
    bus.subscribe("another").unwrap().into_async().unwrap();
}

/// A message that can be made to panic while it is decoded.
#[derive(Message, serde::Serialize)]
struct Fragile {
    count: u64,
}

impl<'de> serde::Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u64::deserialize(deserializer)?;
        assert_ne!(count, 13, "a message that cannot be decoded");
        Ok(Self { count })
    }
}

#[test]
fn after_a_panic_in_decoding_tasks_receive_the_next_message() {
    let name = Name::new();
    let bus: Bus<Fragile> = Bus::on(bus(&name).store().clone());
    let fragile = bus.subscribe("k").unwrap().into_async().unwrap();
    for count in [13, 14, 13, 15] {
        bus.publish("k", &Fragile { count }).unwrap();
    }
    for expected in [14, 15] {
        assert!(catch_unwind(AssertUnwindSafe(|| block_on(fragile.recv()).is_ok())).is_err());
        assert_eq!(block_on(fragile.recv()).unwrap().count, expected);
    }
    assert!(fragile.try_recv().unwrap().is_none());
}

#[test]
fn tasks_in_a_forked_child_are_woken_once_it_opens_the_store_again() {
    // In a process of its own, without other threads that could hold a lock during the fork.
    let test = "tasks_in_a_forked_child_are_woken_once_it_opens_the_store_again";
    if std::env::var_os("SPLINTER_TEST_ALONE").is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", test, "--nocapture"]).env("SPLINTER_TEST_ALONE", "yes");
        assert!(alone.status().unwrap().success());
        return;
    }
    let name = Name::new();
    let bus = bus(&name);
    let ticks = bus.subscribe("k").unwrap().into_async().unwrap();
    let mut waits = Box::pin(ticks.recv());
    assert!(poll_once(waits.as_mut()).is_pending());
    // SAFETY: the child runs only the code below, and ends without returning.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let woken = catch_unwind(AssertUnwindSafe(|| {
            // Dropping an inherited handle does nothing.
            drop(waits);
            let bus = Bus::<Tick>::on(Store::open(&*name).unwrap());
            let ticks = bus.subscribe("k").unwrap().into_async().unwrap();
            let flag = Flag::new();
            let waker = Waker::from(Arc::clone(&flag));
            let mut waits = pin!(ticks.recv());
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            bus.store().set("the child waits", b"yes").unwrap();
            flag.wait();
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        }));
        // SAFETY: it ends the process without running exit handlers that its parent's threads
        // registered.
        unsafe { libc::_exit(if woken.is_ok() { 0 } else { 1 }) };
    }
    bus.store().poll_after("the child waits", 0, Some(DEADLINE)).unwrap().expect("the child waits in time");
    bus.publish("k", &Tick { count: 7 }).unwrap();
    let child = rustix::process::Pid::from_raw(child).unwrap();
    let (_, status) = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
    // The task of the parent is woken as before.
    assert_eq!(block_on(waits).unwrap().count, 7);
}

/// A waker that uses the subscriber when it is dropped, as the last owner of a task may.
struct Receives(Arc<AsyncSubscriber<Tick>>);

impl Wake for Receives {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Receives {
    fn drop(&mut self) {
        self.0.try_recv().unwrap();
    }
}

#[test]
fn a_waker_may_use_its_subscriber_while_it_is_dropped() {
    let name = Name::new();
    let ticks = Arc::new(bus(&name).subscribe("k").unwrap().into_async().unwrap());
    let (done, is_done) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut future = pin!(ticks.recv());
        let waker = Waker::from(Arc::new(Receives(Arc::clone(&ticks))));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        // The other waker is dropped here, during the call.
        assert!(poll_once(future.as_mut()).is_pending());
        done.send(()).unwrap();
    });
    is_done.recv_timeout(DEADLINE).expect("the call returns: no deadlock");
}
