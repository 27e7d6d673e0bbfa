//! Gaps between versions: after a loss of power, or in a copy, versions go on above all that anybody can have seen. What was kept before is history all the
//! same, and the versions in between count for nothing.

use std::fs;
use std::path::Path;

use splinter_bus::store::{Lookup, Store, StoreOptions};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions};
use tempfile::TempDir;

fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// The same store after the machine has stopped with all of it on the disk.
fn after_a_stop(from: &Path) -> (TempDir, Bus<Vec<u8>>) {
    let directory = scratch();
    let path = directory.path().join("store");
    fs::copy(from, &path).unwrap();
    let bus = Bus::open(path.as_path()).unwrap();
    (directory, bus)
}

#[test]
fn what_was_kept_before_a_loss_is_history_for_those_who_begin_at_the_oldest_after_it() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = StoreOptions::new().slots(2).max_value_size(512).history(16).spare(4).create(path.as_path()).unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    let publish = |bus: &Bus<Vec<u8>>, number| {
        for key in ["k", "jobs"] {
            bus.publish(key, &vec![number]).unwrap();
        }
    };
    (1..=6).for_each(|number| publish(&bus, number));
    // Twice, so that one of the gaps is not the newest.
    let (once, bus) = after_a_stop(&path);
    publish(&bus, 7);
    let (_twice, bus) = after_a_stop(&once.path().join("store"));
    publish(&bus, 8);
    let lossless = SubscribeOptions::new().lossless().start(Start::Oldest);
    for mut subscriber in [
        bus.subscribe_from("k", Start::Oldest).unwrap(),
        bus.subscribe_from("k", Start::Time(std::time::UNIX_EPOCH)).unwrap(),
        bus.subscribe_with("k", &lossless).unwrap(),
    ] {
        let received = std::iter::from_fn(|| subscriber.try_recv().unwrap()).map(|message| message[0]);
        assert!(received.eq(1..=8));
    }
    // A queue that is declared only now has all jobs.
    let mut queue = bus.work_queue("jobs").unwrap();
    let jobs = std::iter::from_fn(|| queue.try_recv().unwrap()).map(|job| {
        let number = job[0];
        job.acknowledge().unwrap();
        number
    });
    assert!(jobs.eq(1..=8));
}

#[test]
fn what_was_overwritten_across_a_gap_of_versions_is_reported_and_the_gap_is_not() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = StoreOptions::new().slots(2).max_value_size(512).history(4).spare(2).create(path.as_path()).unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    for number in 1..=6 {
        bus.publish("k", &vec![number]).unwrap();
    }
    let (_directory, bus) = after_a_stop(&path);
    // Of 6 values from before the gap, and so many from behind it, 6 cells keep the last ones.
    for published in 0..=12 {
        let mut subscriber = bus.subscribe_from("k", Start::Version(1)).unwrap();
        let (mut received, mut missed) = (0, 0);
        loop {
            match subscriber.try_recv() {
                Ok(Some(_)) => received += 1,
                Ok(None) => break,
                Err(RecvError::Lagged(count)) => missed += count,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(received + missed, 6 + published, "{received} received, {missed} missed");
        bus.publish("k", &vec![0]).unwrap();
    }
}

#[test]
fn history_from_before_a_gap_is_left_alone_as_long_as_it_is_among_the_newest() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = StoreOptions::new().slots(1).max_value_size(64).history(4).spare(4).create(path.as_path()).unwrap();
    let slot = store.slot("k").unwrap();
    for number in 1..=8 {
        slot.set(&[number]).unwrap();
    }
    let (_directory, bus) = after_a_stop(&path);
    let slot = bus.store().slot("k").unwrap();
    // Without the cells of the oldest values, writers look for others.
    let _pins: Vec<_> = (1..=3).map(|version| slot.pin_version(version).unwrap().unwrap()).collect();
    slot.set(&[9]).unwrap();
    let mut value = Vec::new();
    for version in 6..=8 {
        assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()), "version {version}");
    }
}

/// Where the note of a recovery in progress stands: the last word of the fourth line of a slot, whose second line is the key.
fn note_of_lost_jobs(image: &[u8], key: &str) -> usize {
    let text = [&[key.len() as u8], key.as_bytes()].concat();
    image.windows(text.len()).position(|window| window == text).unwrap() - 64 + 3 * 64 + 56
}

#[test]
fn what_a_recovery_has_noted_hides_no_loss_and_reports_no_more_than_there_can_be() {
    let directory = scratch();
    let (path, image) = (directory.path().join("store"), directory.path().join("image"));
    let store = StoreOptions::new().slots(2).max_value_size(512).history(4).spare(4).create(path.as_path()).unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    drop(bus.work_queue("jobs").unwrap());
    for job in ["job one", "job two"] {
        bus.publish("jobs", &job.as_bytes().to_vec()).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let note = note_of_lost_jobs(&whole, "jobs");
    let torn = whole.windows(7).position(|window| window == b"job two").unwrap();
    // One that found nothing, of an earlier recovery whose end did not reach the disk; and what no recovery writes.
    for (noted, most) in [(1 << 63, 1), (u64::MAX, 8)] {
        let mut bytes = whole.clone();
        bytes[note..note + 8].copy_from_slice(&noted.to_ne_bytes());
        bytes[torn] = b'x';
        fs::write(&image, &bytes).unwrap();
        let store = Store::open(image.as_path()).unwrap();
        let jobs = &store.recovery().unwrap().jobs;
        assert_eq!(jobs.len(), 1);
        assert!((1..=most).contains(&jobs[0].damaged), "{jobs:?}");
        assert!(jobs[0].missing <= most, "{jobs:?}");
    }
}
