//! Messages that are read in place. No process changes a sample, and a held sample delays no
//! process.

#[path = "support/counted.rs"]
mod counted;
mod support;

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytemuck::{Pod, Zeroable};
use counted::Counted;
use serde::{Deserialize, Serialize};
use splinter_bus::frame::FrameError;
use splinter_bus::message::DecodeError;
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{Bus, Message, RecvError, Sample, Start};
use support::offsets::{Offsets, set_word, word};
use support::{Actor, Name, Random, proof};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Reading {
    sensor: u64,
    value: f64,
}

#[derive(Message, Pod, Zeroable, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "bytemuck", checksum = false)]
#[repr(C)]
struct Matrix {
    values: [f32; 16],
}

#[derive(Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy", checksum = false)]
#[repr(u8)]
enum Light {
    Red = 1,
    Green = 2,
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Prompt<'a> {
    text: &'a str,
    #[serde(borrow)]
    tags: Vec<&'a str>,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(4).spare(4))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "writers");
    let store = support::open_soon_with(&options(), &arguments[0]);
    thread::scope(|scope| {
        for writer in 1..=4 {
            let slot = store.slot("k").unwrap();
            scope.spawn(move || {
                let mut value = Vec::new();
                for number in 0.. {
                    proof::write(&mut value, writer, number);
                    slot.set(&value).unwrap();
                }
            });
        }
    });
}

/// Spawns two processes with eight writers, which publish to "k" as fast as they can until the
/// result is dropped.
fn eight_writers(name: &Name) -> [Actor; 2] {
    [(); 2].map(|()| Actor::spawn("writers", &[name]))
}

#[test]
fn a_pinned_value_stays_the_same_for_a_second_while_eight_writers_publish() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(8).spare(10)));
    let writers = eight_writers(&name);
    let slot = store.slot("k").unwrap();
    support::wait_until("all writers have begun", || slot.version() > 10_000);
    let pinned = slot.pin().unwrap().unwrap();
    let (before, start) = (pinned.to_vec(), Instant::now());
    proof::read(&before);
    let mut checks = 0;
    while start.elapsed() < Duration::from_secs(1) {
        assert!(*pinned == *before, "changed after {:?}", start.elapsed());
        checks += 1;
    }
    let published = slot.version() - pinned.version();
    println!("checked {checks} times while {published} newer versions were published");
    assert!(checks > 1000 && published > 1000);
    drop(writers);
}

#[test]
fn a_thousand_values_pinned_at_random_are_intact_and_do_not_change() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(8).spare(14)));
    let writers = eight_writers(&name);
    let slot = store.slot("k").unwrap();
    support::wait_until("all writers have begun", || slot.version() > 1000);
    let (mut random, mut held) = (Random::new(11), Vec::new());
    let (mut pinned, mut gone) = (0, 0);
    while pinned < 1000 {
        let pin = match random.below(2) {
            0 => slot.pin().unwrap(),
            _ => slot.pin_version(slot.version().saturating_sub(random.below(12))).unwrap(),
        };
        match pin {
            Some(pin) => {
                pinned += 1;
                held.push((pin.to_vec(), pin));
            }
            None => gone += 1,
        }
        if held.len() > random.below(4) as usize {
            let (before, pin) = held.swap_remove(random.below(held.len() as u64) as usize);
            proof::read(&pin);
            assert!(*pin == *before, "a pinned value changed");
        }
    }
    println!("{gone} versions were overwritten before they could be pinned");
    drop((writers, held));
    assert_eq!(Store::open(&name).unwrap().slot("k").unwrap().cells().pinned, 0);
}

#[test]
fn plain_messages_are_dereferenced_to_and_others_borrow() {
    let name = Name::new();
    let readings = Bus::<Reading>::on(name.create(&options()));
    assert!(readings.sample("r").unwrap().is_none());
    let mut samples = readings.subscribe("r").unwrap();
    for number in 1..=3 {
        readings.publish("r", &Reading { sensor: number, value: 0.5 }).unwrap();
    }
    let newest: Sample<Reading> = readings.sample("r").unwrap().unwrap();
    assert_eq!((newest.sensor, newest.version(), newest.is_in_place()), (3, 3, true));
    assert_eq!(readings.sample_version("r", 1).unwrap().unwrap().sensor, 1);
    assert!(readings.sample_version("r", 4).unwrap().is_none());
    assert!(readings.sample_version("none", 1).unwrap().is_none());
    for number in 1..=3 {
        let sample = samples.recv_sample().unwrap();
        assert_eq!((sample.sensor, sample.version()), (number, number));
        assert_eq!(sample.view().unwrap(), &*sample);
    }
    assert!(samples.try_recv_sample().unwrap().is_none());
    assert!(samples.recv_sample_timeout(Duration::from_millis(1)).unwrap().is_none());

    let matrices = Bus::<Matrix>::on(readings.store().clone());
    matrices.publish("m", &Matrix { values: [7.0; 16] }).unwrap();
    assert_eq!(matrices.sample("m").unwrap().unwrap().values, [7.0; 16]);

    let prompts = Bus::<Prompt<'static>>::on(readings.store().clone());
    let mut received = prompts.subscribe("p").unwrap();
    prompts.publish("p", &Prompt { text: "Why?", tags: vec!["sky", "blue"] }).unwrap();
    let sample = received.recv_sample().unwrap();
    let view = sample.view().unwrap();
    assert_eq!(view, Prompt { text: "Why?", tags: vec!["sky", "blue"] });
    assert!(sample.payload().as_ptr_range().contains(&view.text.as_ptr()), "the text was copied");
    assert!(sample.envelope().from().starts_with("sample-"));
}

#[test]
fn several_samples_of_one_message_keep_it_until_the_last_is_dropped() {
    let name = Name::new();
    let bus = Bus::<Reading>::on(name.create(&options()));
    bus.publish("k", &Reading { sensor: 1, value: 1.0 }).unwrap();
    let samples: Vec<_> = (0..3).map(|_| bus.sample("k").unwrap().unwrap()).collect();
    let slot = bus.store().slot("k").unwrap();
    for sample in samples {
        for number in 0..100 {
            bus.publish("k", &Reading { sensor: number, value: 2.0 }).unwrap();
        }
        assert_eq!((slot.cells().pinned, sample.sensor), (1, 1));
    }
    assert_eq!(slot.cells().pinned, 0);
}

#[test]
fn a_sample_of_another_type_is_refused_and_pins_nothing() {
    let name = Name::new();
    let prompts = Bus::<Prompt<'static>>::on(name.create(&options()));
    let readings = Bus::<Reading>::on(prompts.store().clone());
    let mut subscriber = readings.subscribe_from("k", Start::Oldest).unwrap();
    prompts.publish("k", &Prompt { text: "Why?", tags: vec![] }).unwrap();
    let error = readings.sample("k").unwrap_err();
    assert!(matches!(error, RecvError::OtherType { .. }), "{error}");
    assert!(matches!(subscriber.recv_sample(), Err(RecvError::OtherType { .. })));
    assert!(subscriber.try_recv_sample().unwrap().is_none());
    assert_eq!(prompts.store().slot("k").unwrap().cells().pinned, 0);
    assert_eq!(prompts.store().diagnostics().parse_failures, 2);
}

#[test]
fn bytes_that_are_not_a_value_of_the_type_are_an_error() {
    let name = Name::new();
    let bus = Bus::<Light>::on(name.create(&options()));
    bus.publish("k", &Light::Green).unwrap();
    assert_eq!(*bus.sample("k").unwrap().unwrap(), Light::Green);
    let mut frame = bus.store().get("k").unwrap().unwrap();
    *frame.last_mut().unwrap() = 3;
    bus.store().set("k", &frame).unwrap();
    let error = bus.sample("k").unwrap_err();
    assert!(matches!(error, RecvError::Decode { source: DecodeError::Invalid, .. }), "{error}");
}

#[test]
fn frames_have_a_checksum_if_the_type_asks_for_it_and_are_refused_without_it() {
    let name = Name::new();
    let lights = Bus::<Light>::on(name.create(&options()));
    lights.publish("k", &Light::Red).unwrap();
    let frame = lights.store().get("k").unwrap().unwrap();
    let parsed = splinter_bus::frame::Frame::parse(&frame).unwrap();
    assert!(!parsed.has_checksum());
    // A frame without a checksum, of a type that requires one. Another program may have declared
    // the type differently.
    let readings = Bus::<Reading>::on(lights.store().clone());
    readings.publish("r", &Reading { sensor: 1, value: 1.0 }).unwrap();
    let mut frame = readings.store().get("r").unwrap().unwrap();
    frame[5] |= 4;
    frame[56..60].fill(0);
    readings.store().set("r", &frame).unwrap();
    let error = readings.get("r").unwrap_err();
    assert!(matches!(error, RecvError::Frame { source: FrameError::NoChecksum, .. }), "{error}");
    assert!(matches!(readings.sample("r"), Err(RecvError::Frame { source: FrameError::NoChecksum, .. })));
}

#[test]
fn a_message_that_a_stopped_writer_is_about_to_overwrite_is_received_as_a_copy() {
    let name = Name::new();
    let bus = Bus::<Reading>::on(name.create(&options().slots(1)));
    let mut samples = bus.subscribe("k").unwrap();
    for sensor in 1..=3 {
        bus.publish("k", &Reading { sensor, value: 0.5 }).unwrap();
    }
    // The writer is as if stopped between claiming the cell and checking the pins.
    let writer = Store::open_unshared(&name).unwrap();
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let offsets = Offsets::of(&file);
    let claiming = 1u64 << 56 | u64::from(writer.participant().id) << 48 | 1;
    let at = (0..3).map(|cell| offsets.cell(0, cell)).find(|&at| word(&file, at) == 1);
    set_word(&file, at.expect("the cell of version 1"), claiming);
    let sample = samples.recv_sample().unwrap();
    assert_eq!((sample.sensor, sample.is_in_place()), (1, false));
    assert!(samples.recv_sample().unwrap().is_in_place());
    let copied = bus.sample_version("k", 1).unwrap().unwrap();
    assert_eq!((copied.sensor, copied.is_in_place()), (1, false));
    // The writer is gone, and a process that needs the cell recovers it.
    drop(writer);
}

#[test]
fn a_sample_may_be_dropped_by_another_thread_and_outlives_its_bus() {
    let name = Name::new();
    let bus = Bus::<Reading>::on(name.create(&options()));
    bus.publish("k", &Reading { sensor: 7, value: 1.0 }).unwrap();
    let sample = bus.sample("k").unwrap().unwrap();
    drop(bus);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(sample.sensor, 7);
            drop(sample);
            done.store(true, Ordering::SeqCst);
        });
    });
    assert!(done.into_inner());
    assert_eq!(Store::open(&name).unwrap().cells().pinned, 0);
}

#[test]
fn a_plain_message_is_validated_when_its_sample_is_created_and_not_at_each_access() {
    let name = Name::new();
    let bus: Bus<Counted> = Bus::on(name.create(&options()));
    bus.publish("k", &Counted { value: 1 }).unwrap();
    counted::CHECKS.store(0, Ordering::Relaxed);
    let sample = bus.sample("k").unwrap().unwrap();
    assert_eq!(counted::CHECKS.load(Ordering::Relaxed), 1);
    // The sample may go to another thread, and its store may be closed here.
    drop(bus);
    let sum = thread::spawn(move || (0..1000).map(|_| u32::from(sample.value)).sum::<u32>()).join().unwrap();
    assert_eq!((sum, counted::CHECKS.load(Ordering::Relaxed)), (1000, 1));
}
