//! Messages that are written in place. They are published complete or leave no trace, and a held
//! loan does not delay other processes.

#[path = "support/counted.rs"]
mod counted;
mod support;

use std::sync::atomic::Ordering;

use counted::Counted;
use splinter_bus::store::{KeyError, KeyOptions, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Loan, Message, PublishError, Start};
use support::image::{Image, space_of};
use support::{Actor, Name};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

const SECRET: &[u8] = b"what nobody may find";
const CELLS: u32 = 8;

#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Embedding {
    values: [f32; 64],
}

#[derive(Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(u8)]
enum Light {
    Green = 2,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(4).spare(CELLS - 4))
}

fn has_secret(name: &Name) -> bool {
    Image::read(name.path()).contains(SECRET)
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "holder");
    let store = support::open_soon_with(&options(), &arguments[0]);
    let slot = store.slot("k").unwrap();
    let mut loan = slot.loan(SECRET.len()).unwrap();
    loan.copy_from_slice(SECRET);
    let _sample = slot.pin().unwrap();
    store.set("held", b"yes").unwrap();
    loop {
        std::thread::park();
    }
}

/// Spawns a process that holds a loan and a sample of "k".
fn holder(name: &Name, store: &Store) -> Actor {
    let actor = Actor::spawn("holder", &[name]);
    store.poll_after("held", 0, Some(support::DEADLINE)).unwrap().expect("a holder");
    actor
}

#[test]
fn a_message_written_in_place_is_received_like_any_other() {
    let name = Name::new();
    let bus = Bus::<Embedding>::on(name.create(&options()));
    let mut received = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap().from("me").to("you").trace("t");
    let mut zeroed = publisher.loan_zeroed().unwrap();
    assert_eq!(zeroed.values, [0.0; 64]);
    zeroed.values[3] = 0.25;
    let id = Loan::id(&zeroed);
    let sent = zeroed.send().unwrap();
    assert_eq!((sent.id, sent.version), (id, 1));
    let embedding = received.recv().unwrap();
    assert_eq!(
        (embedding.values[3], embedding.envelope().id(), embedding.envelope().from(), embedding.envelope().to()),
        (0.25, id, "me", "you")
    );
    assert!(embedding.envelope().sent_at().elapsed().unwrap() < support::DEADLINE);
    publisher.loan().unwrap().write(&Embedding { values: [2.0; 64] }).send().unwrap();
    assert_eq!(received.recv().unwrap().values, [2.0; 64]);
}

#[test]
fn bytes_of_any_length_are_written_in_place() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    let mut publisher = bus.publisher("k").unwrap();
    for len in (1..300).chain([1000, 1024, 1025, 5000, 65_536, 65_537, 300_000]) {
        let value: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        let mut loan = publisher.loan_bytes(len).unwrap();
        assert!(loan.iter().all(|&byte| byte == 0));
        loan.copy_from_slice(&value);
        loan.send().unwrap();
        assert_eq!(**bus.get("k").unwrap().unwrap(), *value);
        publisher.loan_bytes_uninit(len).unwrap().write(&value).send().unwrap();
        assert_eq!(bus.sample("k").unwrap().unwrap().payload(), value);
    }
    assert_eq!(bus.store().diagnostics().parse_failures, 0);
}

#[test]
fn a_loan_that_is_dropped_leaves_no_trace() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("k").unwrap();
    slot.set(b"before").unwrap();
    let space = space_of(name.path());
    for len in [200, 3000, 300_000] {
        let mut loan = slot.loan(len).unwrap();
        loan[len - SECRET.len()..].copy_from_slice(SECRET);
        assert!(has_secret(&name));
        assert_eq!(slot.cells().in_flight, 1);
        drop(loan);
        assert!(!has_secret(&name));
        assert_eq!((slot.cells().in_flight, slot.version()), (0, 1));
        assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"before"[..]));
    }
    // Cells and their side records stay reserved, and what a long value needs does not.
    assert!(space_of(name.path()) <= space + (32 << 10));
}

#[test]
fn no_bytes_of_older_values_follow_a_value_written_in_place() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(1).spare(1)));
    let slot = store.slot("k").unwrap();
    // In the cells, in medium places, and in large ones.
    for repeated in [20, 20, 100, 100, 5000, 5000] {
        slot.set(&SECRET.repeat(repeated)).unwrap();
    }
    for _ in 0..2 {
        // The value is one byte longer than a word, so that the rest of the last word is checked,
        // too.
        slot.loan_uninit(9).unwrap().write(b"nine char").send().unwrap();
    }
    assert!(!has_secret(&name));
    assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"nine char"[..]));
}

#[test]
fn several_loans_are_held_at_once_and_sent_in_any_order() {
    let name = Name::new();
    let bus = Bus::<Embedding>::on(name.create(&options()));
    let mut publisher = bus.publisher("k").unwrap();
    let mut received = bus.subscribe("k").unwrap();
    let mut loans: Vec<_> = (0..3).map(|_| publisher.loan_zeroed().unwrap()).collect();
    for (loan, value) in loans.iter_mut().zip([0.0, 1.0, 2.0]) {
        loan.values[0] = value;
    }
    for _ in 0..1000 {
        publisher.publish(&Embedding { values: [9.0; 64] }).unwrap();
        assert_eq!(received.recv().unwrap().values[0], 9.0);
    }
    for loan in loans.into_iter().rev() {
        loan.send().unwrap();
    }
    for expected in [2.0, 1.0, 0.0] {
        assert_eq!(received.recv().unwrap().values[0], expected);
    }
}

#[test]
fn more_loans_than_cells_are_refused_at_once_with_the_numbers() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("k").unwrap();
    slot.set(b"newest").unwrap();
    let loans: Vec<_> = (1..CELLS).map(|_| slot.loan(8).unwrap()).collect();
    let error = slot.loan(8).unwrap_err();
    let SetError::Backpressure(cells) = &error else { panic!("{error}") };
    assert_eq!((cells.total(), cells.in_flight), (u64::from(CELLS), u64::from(CELLS - 1)));
    assert!(error.to_string().contains("of 8, 7 are in use by writers or on loan, one may hold"), "{error}");
    assert!(error.to_string().contains("more history or spare"), "{error}");
    assert!(matches!(slot.set(b"x"), Err(SetError::Backpressure(_))));
    assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"newest"[..]));
    drop(loans);
    assert_eq!(slot.set(b"x").unwrap(), 2);
    assert_eq!(slot.cells().in_flight, 0);
}

#[test]
fn values_that_cannot_be_lent_are_refused() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(4).span(2 << 20));
    let error = store.slot("k").unwrap().loan(65_537).unwrap_err();
    assert!(matches!(error, SetError::TooLarge { len: 65_537, max: 65_536 }), "{error}");
    let vectors = Bus::<Vec<u8>>::on(store.clone());
    let error = vectors.publisher("k").unwrap().loan_bytes(65_500).map(drop).unwrap_err();
    assert!(matches!(error, PublishError::Set(SetError::TooLarge { len: 65_537.., max: 65_536 })), "{error}");
    let lights = Bus::<Light>::on(store.clone());
    let error = lights.publisher("k").unwrap().loan_zeroed().unwrap_err();
    assert!(error.to_string().contains("zeros are not a value of Light"), "{error}");
    lights.publisher("k").unwrap().loan().unwrap().write(&Light::Green).send().unwrap();
    assert_eq!(*lights.sample("k").unwrap().unwrap(), Light::Green);
    let bytes = Bus::<Vec<u8>>::on(store.clone());
    assert!(matches!(bytes.publisher("k").unwrap().loan_bytes(0), Err(PublishError::Frame(_))));
    assert_eq!(store.cells().in_flight, 0);
}

#[test]
fn a_loan_of_a_removed_key_is_sent_under_the_key_created_again() {
    let name = Name::new();
    let bus = Bus::<Embedding>::on(name.create(&options()));
    let mut publisher = bus.publisher("k").unwrap();
    let mut loan = publisher.loan_zeroed().unwrap();
    loan.values[1] = 1.0;
    bus.store().unset("k").unwrap();
    loan.send().unwrap();
    assert_eq!(bus.get("k").unwrap().unwrap().values[1], 1.0);
    let raw = bus.store().slot("k").unwrap().loan(5).unwrap();
    bus.store().unset("k").unwrap();
    assert!(matches!(raw.send(), Err(SetError::Key(KeyError::Removed))));
    assert_eq!(bus.store().cells().in_flight, 0);
}

#[test]
fn a_value_written_in_place_in_a_file_has_a_checksum() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let store = options().create(&path).unwrap();
    let mut loan = store.slot("k").unwrap().loan(100).unwrap();
    loan.fill(7);
    loan.send().unwrap();
    Image::read(&path).write(&copy);
    let copy = Store::open(&copy).unwrap();
    assert_eq!(copy.recovery().map(|recovery| recovery.lost.len()), Some(0));
    assert_eq!(copy.get("k").unwrap(), Some(vec![7; 100]));
}

#[test]
fn a_stopped_holder_of_a_loan_and_a_sample_blocks_only_two_cells() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    bus.publish("k", &b"pinned".to_vec()).unwrap();
    let holder = holder(&name, bus.store());
    holder.stop();
    let mut publisher = bus.publisher("k").unwrap();
    for number in 0..20_000u32 {
        publisher.publish(&number.to_le_bytes().to_vec()).unwrap();
    }
    let newest = bus.store().slot("k").unwrap().version();
    let mut history = bus.subscribe_from("k", Start::Version(newest - 3)).unwrap();
    for _ in 0..4 {
        history.try_recv().expect("history was overwritten although cells were free").expect("a published message");
    }
    let cells = bus.store().slot("k").unwrap().cells();
    assert_eq!((cells.in_flight, cells.pinned), (1, 1), "{cells:?}");
}

#[test]
fn a_killed_holder_leaves_nothing_behind() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    bus.publish("k", &b"pinned".to_vec()).unwrap();
    let mut holder = holder(&name, bus.store());
    assert!(has_secret(&name));
    holder.kill();
    // A process that needs all cells recovers those of the killed one.
    let slot = bus.store().slot("k").unwrap();
    let mut loans = vec![];
    for _ in 0..CELLS - 1 {
        loans.push(slot.loan(8).unwrap());
    }
    assert!(!has_secret(&name));
    drop(loans);
    let cells = slot.cells();
    assert_eq!((cells.in_flight, cells.pinned), (0, 0), "{cells:?}");
}

#[test]
fn a_waiting_publisher_gets_the_cell_of_a_dropped_loan() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(1).spare(1)));
    let slot = store.slot("k").unwrap();
    slot.set(b"newest").unwrap();
    let loan = slot.loan(8).unwrap();
    let waiting = support::this_thread();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            support::wait_until_asleep(waiting);
            drop(loan);
        });
        assert_eq!(slot.set_timeout(b"next", support::DEADLINE).unwrap(), 2);
    });
}

#[test]
fn a_loan_is_validated_when_it_is_created_and_not_at_each_access() {
    let name = Name::new();
    let bus: Bus<Counted> = Bus::on(name.create(&StoreOptions::new().slots(4)));
    let mut publisher = bus.publisher("k").unwrap();
    counted::CHECKS.store(0, Ordering::Relaxed);
    let mut zeroed = publisher.loan_zeroed().unwrap();
    let mut written = publisher.loan().unwrap().write(&Counted { value: 0 });
    assert_eq!(counted::CHECKS.load(Ordering::Relaxed), 2);
    for number in 0..1000u32 {
        zeroed.value ^= 1;
        written.value = (number % 2) as u8;
        assert_eq!(zeroed.value + written.value, 1);
    }
    assert_eq!(counted::CHECKS.load(Ordering::Relaxed), 2);
    written.send().unwrap();
    assert_eq!(bus.sample("k").unwrap().unwrap().value, 1);
    zeroed.send().unwrap();
    assert_eq!(bus.sample("k").unwrap().unwrap().value, 0);
}
