//! The ttl of messages: by which clock it is judged, in this run of the machine and after another.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use splinter_bus::frame::{self, Encoding, Frame, FrameError, Kind, Outgoing};
use splinter_bus::store::{Store, StoreOptions};
use splinter_bus::{Bus, RecvError, SubscribeOptions};
use support::offsets::{CLEAN_EPOCH, set_word};
use support::{Actor, Name};
use uuid::Uuid;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    match role.as_str() {
        "sender" => {
            let bus: Bus<Vec<u8>> = Bus::open(&*arguments[0]).unwrap();
            bus.publisher("k").unwrap().ttl(Duration::from_secs(600)).publish(&vec![7]).unwrap();
            let mut loan = bus.publisher("loan").unwrap().ttl(Duration::from_secs(600)).loan_bytes(1).unwrap();
            loan[0] = 8;
            loan.send().unwrap();
        }
        "killed" => {
            let _store = Store::open(Path::new(&arguments[0])).unwrap();
            std::process::exit(0)
        }
        _ => panic!("no such role: {role}"),
    }
}

/// Milliseconds of the boot clock. The tests run in the first time namespace.
fn boot_now() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

fn wall_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// A frame that is so old by each of the two clocks, in milliseconds, and has a ttl of a minute.
fn frame_of_age(bus: &Bus<Vec<u8>>, by_boot: i64, by_wall: i64) -> Vec<u8> {
    let envelope = Outgoing {
        kind: Kind::Event,
        encoding: Encoding::Raw,
        fingerprint: bus.message_type().fingerprint(),
        id: Uuid::nil(),
        ts: (wall_now() - by_wall) as u64 * 1_000_000,
        // Modulo 2^32.
        sent_boot: (boot_now() - by_boot) as u32,
        ttl: Some(MINUTE as u32),
        seq: 0,
        eof: true,
        attempt: 1,
        checksum: true,
        payload_align: 16,
        from: "past",
        to: "",
        trace: "",
        reply_to: "",
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, &envelope, |payload| -> Result<(), FrameError> {
        payload.push(1);
        Ok(())
    })
    .unwrap();
    bytes
}

/// Whether the newest message of the key has expired, for each way of receiving it.
fn has_expired(bus: &Bus<Vec<u8>>, key: &str) -> bool {
    let newest = SubscribeOptions::new().start(splinter_bus::Start::Newest);
    let results = [
        bus.get(key).map(drop),
        bus.sample(key).map(drop),
        bus.subscribe_with(key, &newest).unwrap().recv().map(drop),
        bus.subscribe_with(key, &newest).unwrap().recv_sample().map(drop),
    ];
    let expired = results.map(|result| match result {
        Ok(()) => false,
        Err(RecvError::Expired { .. }) => true,
        Err(error) => panic!("{error}"),
    });
    assert!(expired.iter().all(|&one| one == expired[0]), "{expired:?}");
    expired[0]
}

#[test]
fn a_message_expires_by_the_boot_clock_whatever_the_wall_clock_says() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::on(name.create(&StoreOptions::new()));
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let has_run_for_long = uptime.split('.').next().unwrap().parse::<u64>().unwrap() >= (1 << 31) / 1000;
    for (by_boot, by_wall, expired) in [
        (0, 0, false),
        (MINUTE / 2, DAY, false),
        // If the machine has run for less than 24.8 days, its boot clock has not wrapped.
        (MINUTE / 2, 25 * DAY, has_run_for_long),
        (MINUTE / 2, -DAY, false),
        (2 * MINUTE, 0, true),
        (2 * MINUTE, -DAY, true),
        // The boot clock is slightly ahead, and far ahead.
        (-500, DAY, false),
        (-MINUTE, DAY, true),
        // The boot clock has wrapped since, if that is possible.
        (1 << 32, 25 * DAY, has_run_for_long),
        (1 << 32, 24 * DAY, false),
    ] {
        bus.store().set("k", &frame_of_age(&bus, by_boot, by_wall)).unwrap();
        assert_eq!(has_expired(&bus, "k"), expired, "{by_boot} ms by the boot clock, {by_wall} by the wall clock");
    }
}

#[test]
fn the_age_that_an_error_reports_is_by_the_clock_that_decides() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::on(name.create(&StoreOptions::new()));
    bus.store().set("k", &frame_of_age(&bus, 2 * MINUTE, DAY)).unwrap();
    let Err(RecvError::Expired { age, ttl, .. }) = bus.get("k") else { panic!("not expired") };
    assert_eq!(ttl, Duration::from_secs(60));
    assert!((120..180).contains(&age.as_secs()), "{age:?}");
}

#[test]
fn frames_have_a_boot_time_only_with_a_ttl() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::on(name.create(&StoreOptions::new()));
    let sent_boot = |key| Frame::parse(&bus.store().get(key).unwrap().unwrap()).unwrap().sent_boot();
    let is_now = |sent: u32| (0..MINUTE as u32).contains(&(boot_now() as u32).wrapping_sub(sent));
    let mut publisher = bus.publisher("k").unwrap();
    publisher.publish(&vec![1]).unwrap();
    assert_eq!(sent_boot("k"), 0);
    publisher.loan_bytes(1).unwrap().send().unwrap();
    assert_eq!(sent_boot("k"), 0);
    let mut publisher = publisher.ttl(Duration::from_secs(60));
    publisher.publish(&vec![1]).unwrap();
    assert!(is_now(sent_boot("k")));
    publisher.loan_bytes(1).unwrap().send().unwrap();
    assert!(is_now(sent_boot("k")));
}

/// As after a restart of the machine.
fn forget_the_boot(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    set_word(&file, CLEAN_EPOCH, 7);
}

#[test]
fn what_was_sent_before_the_machine_restarted_expires_by_the_wall_clock() {
    let directory = tempfile::tempdir().unwrap();
    let [path, copied] = ["store", "copy"].map(|file| directory.path().join(file));
    let bus: Bus<Vec<u8>> = Bus::create(&path).unwrap();
    // Both clocks disagree.
    let (old, new) = (frame_of_age(&bus, 2 * MINUTE, 0), frame_of_age(&bus, 0, DAY));
    let mut queue = bus.work_queue("queue").unwrap();
    for (key, frame) in [("old", &old), ("new", &new), ("queue", &old)] {
        bus.store().set(key, frame).unwrap();
    }
    assert!(has_expired(&bus, "old") && !has_expired(&bus, "new"));
    assert!(matches!(queue.try_recv(), Err(RecvError::Expired { .. })));
    bus.store().set("queue", &old).unwrap();
    drop((queue, bus));

    forget_the_boot(&path);
    let bus: Bus<Vec<u8>> = Bus::open(&path).unwrap();
    assert!(bus.store().recovery().is_some());
    assert!(!has_expired(&bus, "old") && has_expired(&bus, "new"));
    bus.work_queue("queue").unwrap().try_recv().unwrap().unwrap().acknowledge().unwrap();
    // What is sent from now on, also under a key that is created again, is of this run.
    for key in ["old", "removed"] {
        bus.store().set(key, &old).unwrap();
        assert!(has_expired(&bus, key));
    }
    bus.store().unset("new").unwrap();
    bus.store().set("new", &new).unwrap();
    assert!(!has_expired(&bus, "new"));
    drop(bus);

    forget_the_boot(&path);
    let bus: Bus<Vec<u8>> = Bus::open(&path).unwrap();
    assert!(!has_expired(&bus, "old") && has_expired(&bus, "new"));
    bus.store().set("later", &old).unwrap();
    // Copies know it, too, in files and in memory. They are not recovered.
    let name = Name::new();
    bus.store().copy_to(&copied).unwrap();
    bus.store().copy_to(&name).unwrap();
    for copy in [Store::open(&copied).unwrap(), Store::open(&name).unwrap()] {
        assert!(copy.recovery().is_none());
        let copy: Bus<Vec<u8>> = Bus::on(copy);
        assert!(!has_expired(&copy, "old") && has_expired(&copy, "new") && has_expired(&copy, "later"));
    }
}

#[test]
fn a_recovery_in_the_same_run_of_the_machine_changes_nothing_about_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let bus: Bus<Vec<u8>> = Bus::create(&path).unwrap();
    bus.store().set("k", &frame_of_age(&bus, 2 * MINUTE, 0)).unwrap();
    drop(bus);
    Actor::spawn("killed", &[path.to_str().unwrap()]).finish();
    let bus: Bus<Vec<u8>> = Bus::open(&path).unwrap();
    assert!(bus.store().recovery().is_some());
    assert!(has_expired(&bus, "k"));
}

#[test]
fn a_sender_in_another_time_namespace_has_the_same_boot_clock() {
    let options: &[&[&str]] = &[&["-T"], &["-r", "-T"]];
    let unshare = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).args(["--boottime", "1000000"]);
        command
    };
    let allowed = |options: &&&[&str]| {
        let mut command = unshare(options);
        command.arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(options) = options.iter().find(allowed) else {
        println!("not run: this machine does not allow time namespaces");
        return;
    };
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::on(name.create(&StoreOptions::new()));
    let mut command = unshare(options);
    command.arg(std::env::current_exe().unwrap());
    Actor::spawn_by(command, "sender", &[&name]).finish();
    for (key, payload) in [("k", 7), ("loan", 8)] {
        // The clock of the sender was 11 days ahead.
        let bytes = bus.store().get(key).unwrap().unwrap();
        let age = (boot_now() as u32).wrapping_sub(Frame::parse(&bytes).unwrap().sent_boot());
        assert!(age < MINUTE as u32, "{age} ms");
        assert_eq!(*bus.get(key).unwrap().unwrap(), [payload]);
    }
}
