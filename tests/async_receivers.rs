//! Receiving in tasks: on tokio, and on an executor that knows nothing but wakers.

#![cfg(feature = "async")]

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_core::Stream;
use splinter_bus::store::StoreOptions;
use splinter_bus::{AsyncSubscriber, Bus, Message, RecvError, SubscribeOptions};
use support::{Actor, DEADLINE, Name};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Tick {
    count: u64,
}

fn bus(name: &Name) -> Bus<Tick> {
    Bus::on(name.create(&StoreOptions::new().slots(256).max_value_size(256).history(32).spare(8)))
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

/// As bare as an executor can be: one future, one thread.
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

/// Looks at a future once.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The next item of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn a_bare_executor_receives_everything_of_another_process() {
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
fn tokio_receives_a_stream_of_another_process() {
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
fn a_future_that_is_dropped_takes_no_message_with_it() {
    let name = Name::new();
    let bus = bus(&name);
    let ticks = bus.subscribe("k").unwrap().into_async().unwrap();
    runtime().block_on(async {
        for count in 0..200 {
            // Dropped while it waits, or in the moment in which there is something.
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
fn of_several_tasks_on_one_subscriber_each_message_goes_to_one() {
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
fn jobs_go_to_one_task_each_and_those_of_the_dead_to_another() {
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
fn a_removed_key_and_a_missing_part_wake_tasks_too() {
    let name = Name::new();
    let bus = bus(&name);
    let options = SubscribeOptions::new().part_timeout(Duration::from_millis(30));
    let bytes = Bus::<Vec<u8>>::on(bus.store().clone());
    let large = bytes.subscribe_with("large", &options).unwrap().into_async().unwrap();
    bytes.publish("large", &vec![7; 1000]).unwrap();
    let (slot, mut first) = (bus.store().slot("large").unwrap(), Vec::new());
    slot.get_version_into(1, &mut first).unwrap();
    assert_eq!(block_on(large.recv()).unwrap().len(), 1000);
    slot.set(&first).unwrap();
    assert!(matches!(block_on(large.recv()), Err(RecvError::Incomplete { .. })));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(10));
            bus.store().unset("large").unwrap();
        });
        assert!(matches!(block_on(large.recv()), Err(RecvError::Removed { .. })));
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(10));
            bytes.publish("large", &vec![1]).unwrap();
        });
        assert_eq!(**block_on(large.recv()).unwrap(), [1]);
    });
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn ten_thousand_tasks_on_a_hundred_subscribers_wait_in_one_thread_without_working() {
    // In a process of its own: what others do is not ours.
    if std::env::var_os("SPLINTER_TEST_ALONE").is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "ten_thousand_tasks_on_a_hundred_subscribers_wait_in_one_thread_without_working"]);
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
        // They all wait.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let (start, cpu) = (Instant::now(), cpu_time());
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
fn more_keys_than_the_kernel_sleeps_on_are_waited_for_all_the_same() {
    let name = Name::new();
    let bus = bus(&name);
    let subscribers: Vec<_> =
        (0..200).map(|key| bus.subscribe(&format!("key {key}")).unwrap().into_async().unwrap()).collect();
    runtime().block_on(async {
        let tasks: Vec<_> = subscribers
            .into_iter()
            .map(|ticks| tokio::spawn(async move { ticks.recv().await.unwrap().count }))
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        for key in (0..200).rev() {
            bus.publish(&format!("key {key}"), &Tick { count: key }).unwrap();
        }
        for (task, key) in tasks.into_iter().zip(0..) {
            assert_eq!(task.await.unwrap(), key);
        }
    });
}
