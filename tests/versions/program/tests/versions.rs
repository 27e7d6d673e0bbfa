//! Programs with two versions of one crate of messages understand each other.

#[path = "../../../support/name.rs"]
mod name;
mod programs;

use std::io::Write;

use name::Name;
use programs::{Program, V1, V2};
use splinter_bus::message::Message;
use splinter_bus::schema::Compatibility;
use splinter_bus::store::StoreOptions;

/// What the one program receives of the other one, without a bus.
fn sent(from: &str, to: &str, kind: &str, first: u32, count: u32) -> Vec<String> {
    let encoded = Program::start(from, ["encode", "-", kind, &first.to_string(), &count.to_string()]).finish();
    let mut receiver = Program::start(to, ["decode", "-", kind, "-", "-"]);
    let stdin = receiver.child.stdin.as_mut().expect("a pipe");
    for line in encoded {
        writeln!(stdin, "{line}").expect("a program that reads");
    }
    receiver.finish()
}

/// An order of version 1 as version 2 has it, and the other way round.
fn newer(number: u32) -> messages_v2::Order {
    let state = if number.is_multiple_of(2) {
        messages_v2::State::Open
    } else {
        messages_v2::State::Paid { by: "card".into() }
    };
    let mut order = messages_v2::Order { priority: 1, coupon: None, state, ..messages_v2::order(number) };
    order.prices.values_mut().for_each(|price| price.taxed = false);
    order
}

fn older(number: u32) -> messages_v1::Order {
    let state = if number.is_multiple_of(2) { messages_v1::State::Open } else { messages_v1::State::Unknown };
    messages_v1::Order { state, comment: String::new(), ..messages_v1::order(number) }
}

#[test]
fn a_new_program_reads_all_that_an_old_one_writes() {
    let (old, new) = (messages_v1::Order::message_type(), messages_v2::Order::message_type());
    assert_ne!(old.fingerprint(), new.fingerprint());
    assert_eq!(old.compatible_with(&new), Compatibility::Yes);
    assert_eq!(sent(V1, V2, "order", 0, 2), [0, 1].map(|number| format!("{:?}", newer(number))));
}

#[test]
fn an_old_program_reads_what_it_knows_of_what_a_new_one_writes() {
    let (old, new) = (messages_v1::Order::message_type(), messages_v2::Order::message_type());
    let Compatibility::Partly(differences) = new.compatible_with(&old) else { panic!("numbers are wider") };
    let paths: Vec<_> = differences.iter().map(|difference| difference.path.to_string()).collect();
    assert_eq!(paths, ["number", "items[].count", "prices{value}.cents"]);
    let received = sent(V2, V1, "order", 65_534, 4);
    assert_eq!(received[..2], [65_534, 65_535].map(|number| format!("{:?}", older(number))));
    for (number, error) in [65_536, 65_537].iter().zip(&received[2..]) {
        assert!(
            error.starts_with("error: ") && error.contains("number") && error.contains(&number.to_string()),
            "{error}"
        );
    }
}

#[test]
fn a_type_that_was_renamed_is_read_by_new_programs_alone() {
    let text = "notice 7".to_owned();
    assert_eq!(sent(V1, V2, "notice", 7, 1), [format!("{:?}", messages_v2::Announcement { text, urgent: false })]);
    let refused = "error: the sender's type is Announcement, the receiver's is Notice";
    assert_eq!(sent(V2, V1, "notice", 7, 1), [refused]);
}

#[test]
fn programs_of_one_version_understand_each_other_on_a_bus() {
    for (program, order) in [
        (V1, (|number| format!("{:?}", messages_v1::order(number))) as fn(u32) -> String),
        (V2, |number| format!("{:?}", messages_v2::order(number))),
    ] {
        for role in ["subscribe", "work"] {
            let name = Name::new();
            let _store = name.create(&StoreOptions::new());
            let receiver = Program::receiver(program, role, &name, "order", 20);
            Program::start(program, ["publish", &name, "order", "0", "20"]).finish();
            assert_eq!(receiver.finish(), (0..20).map(order).collect::<Vec<_>>(), "{role}");
        }
    }
}
