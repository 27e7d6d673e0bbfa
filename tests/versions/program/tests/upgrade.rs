//! `docs/upgrade.md`, rule by rule: programs with two versions of each type, on one bus, in both directions.

#[path = "../../../support/name.rs"]
mod name;
mod programs;

use std::collections::BTreeSet;

use name::Name;
use programs::{Program, V1, V2};
use splinter_bus::store::{Store, StoreOptions};

/// What a receiver prints.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// These messages.
    All(&'static [&'static str]),
    /// Each is a message, or an error that says this.
    Some(&'static [Result<&'static str, &'static str>]),
    /// An error that says this, for each of so many messages.
    None(u32, &'static str),
}

use Expected::{All, None, Some};

impl Expected {
    fn count(self) -> u32 {
        match self {
            All(lines) => lines.len() as u32,
            Some(lines) => lines.len() as u32,
            None(count, _) => count,
        }
    }

    fn check(self, row: &str, lines: &[String]) {
        assert_eq!(lines.len(), self.count() as usize, "{row}: {lines:?}");
        let is = |line: &String, expected: Result<&str, &str>| match expected {
            Ok(message) => line == message,
            Err(reason) => line.starts_with("error: ") && line.contains(reason),
        };
        let expected: Vec<_> = match self {
            All(messages) => messages.iter().map(|&message| Ok(message)).collect(),
            Some(lines) => lines.to_vec(),
            None(count, reason) => vec![Err(reason); count as usize],
        };
        for (line, expected) in lines.iter().zip(expected) {
            assert!(is(line, expected), "{row}: {line}, and not {expected:?}");
        }
    }
}

/// The type, what the new program receives of the old one, and the old one of the new one.
const ROWS: &[(&str, Expected, Expected)] = &[
    ("AddedOption", All(&["AddedOption { a: 1, b: None }"]), All(&["AddedOption { a: 2 }"])),
    ("AddedDefault", All(&["AddedDefault { a: 1, b: 0, c: 7 }"]), All(&["AddedDefault { a: 2 }"])),
    ("AddedRequired", None(1, "at `b`"), All(&["AddedRequired { a: 2 }"])),
    ("Removed", All(&["Removed { a: 1 }"]), None(1, "at `b`")),
    ("RemovedOption", All(&["RemovedOption { a: 1 }"]), All(&["RemovedOption { a: 4, b: None, c: 0 }"])),
    ("Reordered", All(&["Reordered { b: \"b\", a: 1 }"]), All(&["Reordered { a: 2, b: \"c\" }"])),
    ("RenamedField", All(&["RenamedField { new: 1 }"]), None(1, "at `old`")),
    (
        "Widened",
        All(&["Widened { a: 0 }", "Widened { a: 1 }", "Widened { a: 2 }"]),
        Some(&[Ok("Widened { a: 0 }"), Ok("Widened { a: 65535 }"), Err("at `a`, invalid value: integer `131070`")]),
    ),
    (
        "Optional",
        All(&["Optional { a: Some(0) }", "Optional { a: Some(1) }"]),
        Some(&[Ok("Optional { a: 2 }"), Err("at `a`")]),
    ),
    ("VariantAdded", All(&["One", "Two"]), Some(&[Ok("Two"), Err("Three")])),
    ("OtherVariant", All(&["One", "Other"]), All(&["One", "Other"])),
    ("VariantRemoved", Some(&[Ok("One"), Err("Two")]), All(&["One"])),
    ("VariantsReordered", All(&["One", "Two(3)"]), All(&["One", "Two(4)"])),
    ("Renamed", All(&["Latter { a: 1 }"]), None(1, "the sender's type is Latter, the receiver's is Former")),
    ("InnerRenamed", All(&["InnerRenamed { inner: Core { a: 1 } }"]), All(&["InnerRenamed { inner: Inner { a: 2 } }"])),
    ("VersionRaised", None(1, "the sender's version is 1"), None(1, "the sender's version is 2")),
    ("Recoded", None(1, "the sender's encoding is postcard"), None(1, "the sender's encoding is json")),
    ("Plain", None(1, "read by their own type only"), None(1, "read by their own type only")),
    ("Retyped", None(1, "at `a`"), None(1, "at `a`")),
    ("Floated", None(1, "at `a`"), None(1, "at `a`")),
    (
        "Signed",
        All(&["Signed { a: 0 }", "Signed { a: 1 }"]),
        Some(&[Ok("Signed { a: 3 }"), Err("at `a`, invalid value: integer `-1`")]),
    ),
    ("Doubled", All(&["Doubled { a: 0.5 }"]), None(1, "at `a`")),
    ("Listed", Some(&[Err("at `a`"), Ok("Listed { a: [1, 1] }")]), All(&["Listed { a: [2, 3] }"])),
    ("RemovedToOther", All(&["One", "Other"]), All(&["One"])),
    ("Paged", All(&["Page { item: Member { a: 1 } }"]), None(1, "the sender's type is Page<Member>")),
    ("Strict", All(&["Strict { a: 1, b: None }"]), None(1, "at `b`")),
];

fn store(name: &Name) -> Store {
    name.create(&StoreOptions::new())
}

#[test]
fn each_change_has_the_outcome_that_the_page_says() {
    for &(row, new_receives, old_receives) in ROWS {
        for (sender, receiver, expected) in [(V1, V2, new_receives), (V2, V1, old_receives)] {
            for role in ["subscribe", "work"] {
                let name = Name::new();
                let _store = store(&name);
                let count = expected.count();
                let early = Program::receiver(receiver, role, &name, row, count);
                Program::start(sender, ["publish", &name, row, "0", &count.to_string()]).finish();
                expected.check(row, &early.finish());
                if role == "work" {
                    continue;
                }
                // One that subscribes later, if no message can be read, is told at once.
                let late = Program::start(receiver, [role, &name, row, "0", "0"]).finish();
                match expected {
                    None(_, reason) => {
                        assert!(late[0].starts_with("refused: ") && late[0].contains(reason), "{row}: {late:?}");
                    }
                    All(_) | Some(_) => assert_eq!(late, ["ready"], "{row}"),
                }
            }
        }
    }
}

#[test]
fn a_receiver_that_wants_its_own_type_alone_refuses_the_other_one() {
    let name = Name::new();
    let _store = store(&name);
    let exact = Program::receiver(V2, "exact", &name, "AddedOption", 2);
    Program::start(V1, ["publish", &name, "AddedOption", "0", "1"]).finish();
    Program::start(V2, ["publish", &name, "AddedOption", "0", "1"]).finish();
    let lines = exact.finish();
    assert!(lines[0].starts_with("error: ") && lines[0].contains("SubscribeOptions::exact"), "{lines:?}");
    assert_eq!(lines[1], "AddedOption { a: 2, b: Some(3) }");
}

#[test]
fn the_newest_message_is_read_by_both() {
    let name = Name::new();
    let _store = store(&name);
    for (sender, receiver, expected) in
        [(V1, V2, "AddedDefault { a: 1, b: 0, c: 7 }"), (V2, V1, "AddedDefault { a: 2 }")]
    {
        Program::start(sender, ["publish", &name, "AddedDefault", "0", "1"]).finish();
        assert_eq!(Program::start(receiver, ["newest", &name, "AddedDefault", "0", "0"]).finish(), ["ready", expected]);
    }
}

#[test]
fn after_a_change_that_both_read_programs_restart_in_any_order_and_no_job_is_lost() {
    let name = Name::new();
    let _store = store(&name);
    // Workers of both versions, and senders that come and go.
    let workers = [V1, V2].map(|program| Program::start(program, ["work", &name, "Reordered", "0", "30"]));
    workers.iter().for_each(|worker| assert_eq!(worker.line(), "ready"));
    for round in 0..20 {
        let sender = [V1, V2][round % 2];
        Program::start(sender, ["publish", &name, "Reordered", "0", "3"]).finish();
    }
    let done: Vec<_> = workers.into_iter().flat_map(Program::finish).collect();
    assert_eq!(done.len(), 60);
    let kinds: BTreeSet<_> = done.iter().map(String::as_str).collect();
    let known = [
        "Reordered { a: 1, b: \"b\" }",
        "Reordered { a: 2, b: \"c\" }",
        "Reordered { b: \"b\", a: 1 }",
        "Reordered { b: \"c\", a: 2 }",
    ];
    assert!(kinds.is_subset(&BTreeSet::from(known)), "{kinds:?}");
    let of_v1 = done.iter().filter(|line| line.contains("a: 1")).count();
    assert_eq!(of_v1, 30, "each job once");
}

#[test]
fn after_a_field_without_a_default_was_added_the_senders_restart_first() {
    let name = Name::new();
    let _store = store(&name);
    let old = Program::receiver(V1, "subscribe", &name, "AddedRequired", 2);
    Program::start(V1, ["publish", &name, "AddedRequired", "0", "1"]).finish();
    Program::start(V2, ["publish", &name, "AddedRequired", "0", "1"]).finish();
    assert_eq!(old.finish(), ["AddedRequired { a: 1 }", "AddedRequired { a: 2 }"]);
    // The newest message is of the new type now.
    let new = Program::receiver(V2, "subscribe", &name, "AddedRequired", 1);
    Program::start(V2, ["publish", &name, "AddedRequired", "0", "1"]).finish();
    assert_eq!(new.finish(), ["AddedRequired { a: 2, b: 3 }"]);
}

#[test]
fn after_a_field_without_a_default_was_removed_the_receivers_restart_first() {
    let name = Name::new();
    let _store = store(&name);
    Program::start(V1, ["publish", &name, "Removed", "0", "1"]).finish();
    let new = Program::receiver(V2, "subscribe", &name, "Removed", 2);
    Program::start(V1, ["publish", &name, "Removed", "0", "1"]).finish();
    Program::start(V2, ["publish", &name, "Removed", "0", "1"]).finish();
    assert_eq!(new.finish(), ["Removed { a: 1 }", "Removed { a: 3 }"]);
}

#[test]
fn after_all_programs_stopped_and_the_key_was_removed_any_change_is_possible() {
    let name = Name::new();
    let store = store(&name);
    Program::start(V1, ["publish", &name, "Retyped", "0", "3"]).finish();
    assert!(Program::start(V2, ["subscribe", &name, "Retyped", "0", "1"]).finish()[0].starts_with("refused: "));
    store.unset("Retyped").unwrap();
    let new = Program::receiver(V2, "subscribe", &name, "Retyped", 1);
    Program::start(V2, ["publish", &name, "Retyped", "0", "1"]).finish();
    assert_eq!(new.finish(), ["Retyped { a: [1] }"]);
    assert!(store.slot("Retyped").unwrap().version() > 3, "versions go on");
}
