//! Gaps between versions. After a power loss, or in a copy, new versions are above all that any
//! reader can have seen. Older messages remain in the history, and the skipped versions do not
//! count as missed.

mod support;

use std::fs::File;
use std::path::Path;

use splinter_bus::store::{KeyOptions, Lookup, Store, StoreOptions};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions};
use support::image::Image;
use support::offsets::{Offsets, UNPROVEN_JOBS};
use tempfile::TempDir;

fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// Returns the same store after a power loss with all of its data on the disk.
fn after_a_stop(from: &Path) -> (TempDir, Bus<Vec<u8>>) {
    let directory = scratch();
    let path = directory.path().join("store");
    Image::read(from).write(&path);
    let bus = Bus::open(path.as_path()).unwrap();
    (directory, bus)
}

#[test]
fn messages_from_before_a_power_loss_are_received_from_the_oldest_on() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = StoreOptions::new()
        .slots(2)
        .key_options(KeyOptions::new().history(16).spare(4))
        .create(path.as_path())
        .unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    let publish = |bus: &Bus<Vec<u8>>, number| {
        for key in ["k", "jobs"] {
            bus.publish(key, &vec![number]).unwrap();
        }
    };
    (1..=6).for_each(|number| publish(&bus, number));
    // The machine stops twice, so that one of the gaps is not the newest.
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
    // A queue that is declared only now delivers all jobs.
    let mut queue = bus.work_queue("jobs").unwrap();
    let jobs = std::iter::from_fn(|| queue.try_recv().unwrap()).map(|job| {
        let number = job[0];
        job.acknowledge().unwrap();
        number
    });
    assert!(jobs.eq(1..=8));
}

#[test]
fn overwritten_messages_on_both_sides_of_a_gap_are_counted_and_the_gap_is_not() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store =
        StoreOptions::new().slots(2).key_options(KeyOptions::new().history(4).spare(2)).create(path.as_path()).unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    for number in 1..=6 {
        bus.publish("k", &vec![number]).unwrap();
    }
    let (_directory, bus) = after_a_stop(&path);
    // 6 cells keep the newest of the 6 values before the gap and those after it.
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
fn history_from_before_a_gap_is_kept_while_it_is_among_the_newest_versions() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store =
        StoreOptions::new().slots(1).key_options(KeyOptions::new().history(4).spare(4)).create(path.as_path()).unwrap();
    let slot = store.slot("k").unwrap();
    for number in 1..=8 {
        slot.set(&[number]).unwrap();
    }
    let (_directory, bus) = after_a_stop(&path);
    let slot = bus.store().slot("k").unwrap();
    // The cells of the oldest values are pinned, so writers look for others.
    let _pins: Vec<_> = (1..=3).map(|version| slot.pin_version(version).unwrap().unwrap()).collect();
    slot.set(&[9]).unwrap();
    let mut value = Vec::new();
    for version in 6..=8 {
        assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()), "version {version}");
    }
}

/// Returns the offset of the note of a recovery in progress.
fn note_of_lost_jobs(path: &Path, key: &str) -> u64 {
    let file = File::open(path).unwrap();
    let offsets = Offsets::of(&file);
    offsets.slot(offsets.slot_of(&file, key)) + UNPROVEN_JOBS
}

#[test]
fn a_wrong_note_of_an_earlier_recovery_hides_no_loss_and_limits_the_reported_ones() {
    let directory = scratch();
    let (path, image) = (directory.path().join("store"), directory.path().join("image"));
    let store =
        StoreOptions::new().slots(2).key_options(KeyOptions::new().history(4).spare(4)).create(path.as_path()).unwrap();
    let bus = Bus::<Vec<u8>>::on(store);
    drop(bus.work_queue("jobs").unwrap());
    for job in ["job one", "job two"] {
        bus.publish("jobs", &job.as_bytes().to_vec()).unwrap();
    }
    let good = Image::read(&path);
    let note = note_of_lost_jobs(&path, "jobs");
    let torn = good.find(b"job two")[0];
    // First a note of an earlier recovery that found no loss and whose end did not reach the disk,
    // then a note that no recovery writes.
    for (noted, most) in [(1 << 63, 1), (u64::MAX, 8)] {
        let mut damaged = good.clone();
        damaged.set_bytes(note, &u64::to_ne_bytes(noted));
        damaged.set_bytes(torn, b"x");
        damaged.write(&image);
        let store = Store::open(image.as_path()).unwrap();
        let jobs = &store.recovery().unwrap().jobs;
        assert_eq!(jobs.len(), 1);
        assert!((1..=most).contains(&jobs[0].damaged), "{jobs:?}");
        assert!(jobs[0].missing <= most, "{jobs:?}");
    }
}
