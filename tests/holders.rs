//! Processes that hold samples, loans, cursors and jobs are killed at random. The next operation
//! that needs what they held gets it.

mod support;

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{Bus, Start, SubscribeOptions};
use support::{Actor, DEADLINE, Name, Random};

const CELLS: u32 = 16;

fn options() -> StoreOptions {
    StoreOptions::new().slots(8).key_options(KeyOptions::new().history(CELLS / 2).spare(CELLS / 2).lossless(3))
}

/// Returns how often a holder is killed.
fn kills() -> u32 {
    std::env::var("SPLINTER_TEST_KILLS").map_or(300, |count| count.parse().expect("a number"))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "holder");
    let seed = arguments[1].parse().unwrap();
    hold(&Bus::on(support::open_soon_with(&options(), &arguments[0])), &mut Random::new(seed));
}

/// Takes and releases samples, loans, cursors and jobs, several of each at a time. It sends and
/// acknowledges nothing.
fn hold(bus: &Bus<Vec<u8>>, random: &mut Random) {
    let mut publisher = bus.publisher("k").unwrap();
    let mut queue = bus.work_queue("work").unwrap();
    let lossless = SubscribeOptions::new().lossless().start(Start::Oldest);
    let (mut samples, mut loans, mut subscribers, mut jobs) = (vec![], vec![], vec![], vec![]);
    let rounds = bus.store().integer("rounds").unwrap();
    loop {
        match random.below(8) {
            0 if samples.len() < 3 => samples.extend(bus.sample("k").unwrap()),
            1 if loans.len() < 3 => loans.extend(publisher.loan_bytes(100)),
            2 if subscribers.len() < 2 => subscribers.extend(bus.subscribe_with("k", &lossless)),
            3 if jobs.len() < 4 => jobs.extend(queue.try_recv().unwrap()),
            4 => drop(samples.pop()),
            5 => drop(loans.pop()),
            6 => drop(subscribers.pop()),
            7 => drop(jobs.pop()),
            _ => {}
        }
        if let Some(subscriber) = subscribers.last_mut() {
            subscriber.try_recv().unwrap();
        }
        rounds.fetch_add(1).unwrap();
    }
}

#[test]
fn the_next_operation_gets_what_killed_holders_held() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    let mut random = Random::new(17);
    let (mut publisher, mut work) = (bus.publisher("k").unwrap(), bus.publisher("work").unwrap());
    let mut queue = bus.work_queue("work").unwrap();
    let rounds = bus.store().integer("rounds").unwrap();
    let (mut held, mut again, mut number) = ([0u32; 4], 0u64, 0u64);
    let start = Instant::now();
    for round in 0..kills() {
        for _ in 0..3 {
            publisher.publish(&vec![1; 100]).expect("no process holds a cell");
            number += 1;
            work.publish(&number.to_le_bytes().to_vec()).expect("no process holds a cell");
        }
        let mut holder = Actor::spawn("holder", &[&name, &round.to_string()]);
        let before = rounds.get().unwrap().unwrap_or(0);
        let enough = before + 1 + random.below(200);
        support::wait_until("the holder holds something", || rounds.get().unwrap().unwrap_or(0) > enough);
        holder.kill();
        let (cells, jobs) =
            (bus.store().slot("k").unwrap().cells(), bus.store().slot_snapshot("work").unwrap().unwrap());
        let now = [cells.pinned, cells.in_flight, cells.retained, jobs.queue.unwrap().taken.into()];
        held.iter_mut().zip(now).for_each(|(sum, now)| *sum += u32::from(now > 0));
        // Cells and cursors: every publish succeeds at once, and so does an operation that needs
        // all cells except the newest.
        for _ in 0..2 * CELLS {
            publisher.publish(&vec![2; 100]).expect("a killed holder delays no publisher");
        }
        let all: Vec<_> = (1..CELLS).map(|_| publisher.loan_bytes(1).expect("a killed holder holds no cell")).collect();
        drop(all);
        // Messages: all are delivered again, in any order, because killed holders had requeued
        // some.
        let mut seen = HashSet::new();
        while let Some(job) = queue.try_recv().unwrap() {
            again += u64::from(job.attempt() > 1);
            seen.insert(u64::from_le_bytes(job[..].try_into().unwrap()));
            job.acknowledge().unwrap();
        }
        assert_eq!(seen, (number - 2..=number).collect(), "in round {round}");
        let cells = bus.store().slot("k").unwrap().cells();
        assert_eq!(
            (cells.total(), cells.pinned, cells.in_flight, cells.retained),
            (u64::from(CELLS), 0, 0, 0),
            "{cells:?}"
        );
    }
    println!(
        "{} kills in {:?}: samples, loans, cursors, jobs were held in {held:?} of them, {again} jobs were handled again",
        kills(),
        start.elapsed()
    );
    assert!(held.iter().all(|&held| held > kills() / 10), "{held:?}");
    drop((publisher, work, queue, rounds, bus));
    // Cells are counted of slots that have keys.
    let store = Store::open(&name).unwrap();
    let (cells, keys) = (store.cells(), store.keys().len() as u64);
    assert!(keys >= 3);
    assert_eq!(
        (cells.total(), cells.pinned, cells.in_flight, cells.retained),
        (keys * u64::from(CELLS), 0, 0, 0),
        "{cells:?}"
    );
}

#[test]
fn stopped_holders_delay_only_publishers_that_wait_for_their_cursors() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    bus.publish("k", &vec![1; 100]).unwrap();
    let rounds = bus.store().integer("rounds").unwrap();
    for seed in 0..20 {
        let holder = Actor::spawn("holder", &[&name, &seed.to_string()]);
        let before = rounds.get().unwrap().unwrap_or(0);
        support::wait_until("the holder holds something", || rounds.get().unwrap().unwrap_or(0) > before + 50);
        holder.stop();
        // Messages that a stopped subscriber is to receive delay publishers that wait, until their
        // timeouts. Everything else that it holds delays no process.
        let mut publisher = bus.publisher("k").unwrap();
        let unread = bus.store().slot_snapshot("k").unwrap().unwrap().lossless.len();
        for _ in 0..1000 {
            match publisher.publish_timeout(&vec![2; 100], Duration::from_millis(1)) {
                Ok(_) => {}
                Err(_) if unread > 0 => break,
                Err(error) => panic!("{error}"),
            }
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut others = bus.subscribe("other").unwrap();
                bus.publish("other", &vec![3]).unwrap();
                assert_eq!(**others.recv_timeout(DEADLINE).unwrap().expect("a message"), [3]);
            });
        });
    }
}
