//! Work queues: each message goes to one worker, and to another only if that one crashes or
//! requeues it.

mod support;

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use splinter_bus::store::{KeyOptions, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Message, PublishError, RecvError, SubscribeOptions, WorkQueue};
use support::image::Image;
use support::{Actor, DEADLINE, Name};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Task {
    number: u64,
}

/// What a worker reports when it has handled a task.
#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Done {
    worker: u32,
    number: u64,
    attempt: u32,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(8).key_options(KeyOptions::new().history(8).spare(8))
}

fn bus(name: &Name) -> Bus<Task> {
    Bus::on(name.create(&options()))
}

fn publish(bus: &Bus<Task>, numbers: std::ops::Range<u64>) {
    let mut publisher = bus.publisher("work").unwrap();
    for number in numbers {
        publisher.publish(&Task { number }).unwrap();
    }
}

fn numbers(queue: &mut WorkQueue<Task>) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(job) = queue.try_recv().unwrap() {
        numbers.push(job.number);
        job.acknowledge().unwrap();
    }
    numbers
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let store = support::open_soon_with(&options(), &arguments[0]);
    let tasks = Bus::<Task>::on(store.clone());
    let mut queue = tasks.work_queue("work").unwrap();
    match role.as_str() {
        "worker" => {
            let worker = arguments[1].parse().unwrap();
            let mut done = Bus::<Done>::on(store).publisher("done").unwrap();
            loop {
                let job = queue.recv().unwrap();
                let report = Done { worker, number: job.number, attempt: job.attempt() };
                done.publish_timeout(&report, DEADLINE).unwrap();
                job.acknowledge().unwrap();
            }
        }
        "holder" => {
            let jobs: Vec<_> = (0..3).map(|_| queue.recv().unwrap()).collect();
            store.set("held", b"yes").unwrap();
            loop {
                thread::park_timeout(Duration::from_secs(jobs.len() as u64));
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

/// Spawns a process that has leased three messages.
fn holder(name: &Name, store: &Store) -> Actor {
    let actor = Actor::spawn("holder", &[name]);
    store.poll_after("held", 0, Some(DEADLINE)).unwrap().expect("a worker");
    actor
}

#[test]
fn each_message_goes_to_one_worker_in_order() {
    let name = Name::new();
    let bus = bus(&name);
    publish(&bus, 0..3);
    let mut workers = [(); 3].map(|()| bus.work_queue("work").unwrap());
    publish(&bus, 3..9);
    for number in 0..9 {
        let job = workers[number as usize % 3].recv().unwrap();
        assert_eq!((job.number, job.attempt(), job.version()), (number, 1, number + 1));
        job.acknowledge().unwrap();
    }
    assert!(workers.iter_mut().all(|worker| worker.try_recv().unwrap().is_none()));
    assert!(workers[0].recv_timeout(Duration::from_millis(1)).unwrap().is_none());
}

#[test]
fn a_requeued_message_is_delivered_before_newer_ones() {
    let name = Name::new();
    let bus = bus(&name);
    let (mut one, mut other) = (bus.work_queue("work").unwrap(), bus.work_queue("work").unwrap());
    publish(&bus, 0..4);
    let first = one.recv().unwrap();
    let second = other.recv().unwrap();
    assert_eq!((first.number, second.number), (0, 1));
    drop(first);
    drop(second);
    // A worker that has passed older messages returns to them after at most as many messages as
    // there are cells.
    let mut fresh = bus.work_queue("work").unwrap();
    for (number, attempt) in [(0, 2), (1, 2), (2, 1), (3, 1)] {
        let job = fresh.recv().unwrap();
        assert_eq!((job.number, job.attempt()), (number, attempt));
        job.acknowledge().unwrap();
    }
    for attempt in 3..300 {
        publish(&bus, 9..10);
        for attempt in 1..attempt.min(4) {
            let job = one.recv().unwrap();
            assert_eq!(job.attempt(), attempt);
        }
        one.recv().unwrap().acknowledge().unwrap();
    }
}

#[test]
fn a_full_queue_refuses_publishers_until_a_message_is_acknowledged() {
    let name = Name::new();
    let bus = bus(&name);
    let mut queue = bus.work_queue("work").unwrap();
    publish(&bus, 0..16);
    assert!(matches!(bus.publish("work", &Task { number: 16 }), Err(PublishError::Set(SetError::Backpressure(_)))));
    let snapshot = bus.store().slot_snapshot("work").unwrap().unwrap().queue.unwrap();
    assert_eq!((snapshot.waiting, snapshot.taken), (16, 0));
    let job = queue.recv().unwrap();
    assert!(matches!(bus.publish("work", &Task { number: 16 }), Err(PublishError::Set(SetError::Backpressure(_)))));
    let mut publisher = bus.publisher("work").unwrap();
    thread::scope(|scope| {
        let (tell, waiting) = mpsc::channel();
        let publisher = scope.spawn(move || {
            tell.send(support::this_thread()).unwrap();
            publisher.publish_timeout(&Task { number: 16 }, DEADLINE)
        });
        support::wait_until_asleep(waiting.recv().unwrap());
        job.acknowledge().unwrap();
        publisher.join().unwrap().unwrap();
    });
    assert_eq!(numbers(&mut queue), (1..17).collect::<Vec<_>>());
}

#[test]
fn a_job_that_takes_long_blocks_only_its_own_cell() {
    let name = Name::new();
    let bus = bus(&name);
    let (mut slow, mut quick) = (bus.work_queue("work").unwrap(), bus.work_queue("work").unwrap());
    publish(&bus, 0..1);
    let long = slow.recv().unwrap();
    for number in 1..500 {
        publish(&bus, number..number + 1);
        let job = quick.recv().unwrap();
        assert_eq!(job.number, number);
        job.acknowledge().unwrap();
    }
    assert_eq!(long.number, 0);
    long.acknowledge().unwrap();
    assert!(quick.try_recv().unwrap().is_none());
}

#[test]
fn a_key_stays_a_queue_without_workers_until_it_is_removed() {
    let name = Name::new();
    let bus = bus(&name);
    drop(bus.work_queue("work").unwrap());
    publish(&bus, 0..16);
    assert!(bus.publish("work", &Task { number: 16 }).is_err());
    let mut queue = bus.work_queue("work").unwrap();
    let job = queue.recv().unwrap();
    bus.store().unset("work").unwrap();
    publish(&bus, 100..200);
    assert!(job.acknowledge().unwrap_err().to_string().contains("was removed"));
    assert!(matches!(queue.recv(), Err(RecvError::Removed { .. })));
    // The key becomes a queue again, of the retained messages.
    let retained = numbers(&mut queue);
    assert!(retained.len() >= 8 && retained.is_sorted() && retained.last() == Some(&199), "{retained:?}");
}

#[test]
fn a_value_that_is_not_a_message_is_reported_once() {
    let name = Name::new();
    let bus = bus(&name);
    let mut queue = bus.work_queue("work").unwrap();
    bus.store().set("work", b"garbage").unwrap();
    publish(&bus, 0..1);
    assert!(matches!(queue.recv(), Err(RecvError::Frame { .. })));
    assert_eq!(queue.recv().unwrap().number, 0);
    assert_eq!(bus.store().diagnostics().parse_failures, 1);
    // Longer than the longest value of a queue of so many cells.
    let small = Name::new();
    let bytes = Bus::<Vec<u8>>::on(small.create(&options().span(2 << 20)));
    let mut queue = bytes.work_queue("work").unwrap();
    let max = bytes.store().slot("work").unwrap().max_len();
    let error = bytes.publish("work", &vec![1; max]).unwrap_err();
    assert!(matches!(error, PublishError::Set(SetError::TooLarge { max: has, .. }) if has == max), "{error}");
    bytes.publish("work", &vec![1; max - 1000]).unwrap();
    assert_eq!(queue.recv().unwrap().len(), max - 1000);
}

#[test]
fn jobs_of_every_length_are_delivered_and_delivered_again() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    let mut queue = bus.work_queue("work").unwrap();
    let job_of = |number: u8, len: usize| vec![number; len];
    // In cells, in medium places and in large ones.
    let lens = [1, 900, 1000, 3000, 65_000, 66_000, 1_000_000];
    for (number, len) in (0..).zip(lens) {
        bus.publish("work", &job_of(number, len)).unwrap();
    }
    // The first time, all of them are dropped, while others are published and delivered.
    let jobs: Vec<_> = lens.iter().map(|_| queue.recv().unwrap()).collect();
    for round in 0..50 {
        let len = lens[round % lens.len()];
        bus.publish("work", &job_of(100, len)).unwrap();
        let job = queue.recv().unwrap();
        assert_eq!(**job, job_of(100, len));
        job.acknowledge().unwrap();
    }
    drop(jobs);
    for (number, len) in (0..).zip(lens) {
        let job = queue.recv().unwrap();
        assert_eq!((&job[..], job.attempt()), (&job_of(number, len)[..], 2));
        job.acknowledge().unwrap();
    }
    assert!(queue.try_recv().unwrap().is_none());
}

#[test]
fn the_messages_of_a_killed_worker_are_handled_by_another() {
    let name = Name::new();
    let bus = bus(&name);
    let mut queue = bus.work_queue("work").unwrap();
    publish(&bus, 0..5);
    let mut dead = holder(&name, bus.store());
    let job = queue.recv().unwrap();
    assert_eq!(job.number, 3);
    dead.kill();
    let mut rest = Vec::new();
    for _ in 0..4 {
        let job = queue.recv_timeout(DEADLINE).unwrap().expect("the message of the killed worker");
        rest.push((job.number, job.attempt()));
        job.acknowledge().unwrap();
    }
    rest.sort_unstable();
    assert_eq!(rest, [(0, 2), (1, 2), (2, 2), (4, 1)]);
    job.acknowledge().unwrap();
    assert!(queue.try_recv().unwrap().is_none());
}

#[test]
fn a_sleeping_worker_gets_the_message_of_a_killed_one() {
    let name = Name::new();
    let bus = bus(&name);
    publish(&bus, 0..3);
    let mut killed = holder(&name, bus.store());
    let mut queue = bus.work_queue("work").unwrap();
    let waiting = support::this_thread();
    thread::scope(|scope| {
        scope.spawn(|| {
            support::wait_until_asleep(waiting);
            killed.kill();
        });
        let job = queue.recv_timeout(DEADLINE).unwrap().expect("the message of the killed worker");
        assert_eq!((job.number, job.attempt()), (0, 2));
        job.acknowledge().unwrap();
    });
}

#[test]
fn a_stopped_worker_keeps_its_messages() {
    let name = Name::new();
    let bus = bus(&name);
    publish(&bus, 0..4);
    let stopped = holder(&name, bus.store());
    stopped.stop();
    let mut queue = bus.work_queue("work").unwrap();
    assert_eq!(numbers(&mut queue), [3]);
    stopped.signal(Signal::CONT);
    assert!(queue.try_recv().unwrap().is_none());
}

#[test]
fn a_queue_in_a_file_survives_its_last_close() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let bus = Bus::<Task>::on(options().create(&path).unwrap());
    let mut queue = bus.work_queue("work").unwrap();
    publish(&bus, 0..6);
    queue.recv().unwrap().acknowledge().unwrap();
    drop((queue, bus));
    let mut dead = Actor::spawn("holder", &[path.to_str().unwrap()]);
    let held = || Image::read(&path).contains(b"held");
    support::wait_until("the worker has leased three jobs", held);
    dead.kill();
    let bus = Bus::<Task>::on(Store::open(&path).unwrap());
    assert!(bus.store().recovery().is_some(), "the last process that had it open was killed");
    // No process has declared the queue since.
    let mut queue = bus.work_queue("work").unwrap();
    let mut left = Vec::new();
    while let Some(job) = queue.try_recv().unwrap() {
        left.push((job.number, job.attempt()));
        job.acknowledge().unwrap();
    }
    assert_eq!(left, [(1, 2), (2, 2), (3, 2), (4, 1), (5, 1)]);
    publish(&bus, 6..22);
    assert!(bus.publish("work", &Task { number: 22 }).is_err());
}

/// Returns the number of messages, which the environment may set.
fn messages() -> u64 {
    std::env::var("SPLINTER_TEST_MESSAGES").map_or(20_000, |count| count.parse().expect("a number"))
}

#[test]
fn of_four_workers_two_are_killed_and_no_message_is_lost_or_done_twice() {
    let name = Name::new();
    let bus = bus(&name);
    let done = Bus::<Done>::on(bus.store().clone());
    let lossless = splinter_bus::SubscribeOptions::new().lossless();
    let mut reports = done.subscribe_with("done", &lossless).unwrap();
    // The queue is declared before the first message, in whatever order the processes start.
    let mut rest = bus.work_queue("work").unwrap();
    let mut workers: Vec<_> = (0..4).map(|worker: u32| Actor::spawn("worker", &[&name, &worker.to_string()])).collect();
    let count = messages();
    let publisher = {
        let mut publisher = bus.publisher("work").unwrap();
        thread::spawn(move || {
            for number in 0..count {
                publisher.publish_timeout(&Task { number }, DEADLINE).unwrap();
            }
        })
    };
    let mut handled: HashMap<u64, Vec<(u32, u32)>> = HashMap::new();
    while (handled.len() as u64) < count {
        let report = reports.recv_timeout(DEADLINE).unwrap().expect("another report");
        handled.entry(report.number).or_default().push((report.worker, report.attempt));
        for (worker, at) in [(0, count / 3), (1, count / 2)] {
            if handled.len() as u64 == at {
                workers[worker].kill();
            }
        }
    }
    publisher.join().unwrap();
    // Messages that a killed worker had handled and not acknowledged are handled again: wait for
    // them, too.
    support::wait_until("the queue is empty", || {
        while let Some(report) = reports.try_recv().unwrap() {
            handled.entry(report.number).or_default().push((report.worker, report.attempt));
        }
        let queue = bus.store().slot_snapshot("work").unwrap().unwrap().queue.unwrap();
        (queue.waiting, queue.taken) == (0, 0)
    });
    assert!(rest.try_recv().unwrap().is_none());
    let (mut again, mut by) = (0, [0; 4]);
    for (number, reports) in &handled {
        for &(worker, _) in reports {
            by[worker as usize] += 1;
        }
        if reports.len() > 1 {
            again += 1;
            assert!(reports[0].0 < 2, "{number} was handled twice by live workers: {reports:?}");
            assert_eq!(reports.iter().map(|&(_, attempt)| attempt).collect::<Vec<_>>(), [1, 2], "{reports:?}");
        }
    }
    println!("{count} messages, handled by {by:?}, {again} of them twice");
    assert_eq!(handled.len() as u64, count);
    assert!(again <= 2);
}

#[test]
fn queues_and_lossless_subscriptions_of_a_removed_key_do_not_apply_to_later_keys() {
    let name = Name::new();
    let store =
        name.create(&StoreOptions::new().slots(1).key_options(KeyOptions::new().history(2).spare(2).lossless(1)));
    let bus = Bus::<Task>::on(store.clone());
    drop(bus.work_queue("work").unwrap());
    // Some words of a slot have few bits for the number of its key. This loop uses each of these
    // numbers.
    for _ in 0..1 << 15 {
        store.unset("work").unwrap();
        store.set("work", b"no queue").unwrap();
        assert_eq!(store.slot_snapshot("work").unwrap().unwrap().queue, None);
    }
    store.unset("work").unwrap();
    let idle = bus.subscribe_with("lossless", &SubscribeOptions::new().lossless()).unwrap();
    for _ in 0..1 << 8 {
        let key = store.keys().remove(0);
        store.unset(&key).unwrap();
        store.set("other", b"nobody's").unwrap();
        assert!(store.slot_snapshot("other").unwrap().unwrap().lossless.is_empty());
    }
    for _ in 0..10 {
        store.set("other", b"not refused").unwrap();
    }
    drop(idle);
}
