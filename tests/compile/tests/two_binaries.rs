//! The same struct, compiled into two programs, is the same message. Any difference between the
//! structs is an error that names both.

#[path = "../../support/name.rs"]
mod name;

use std::process::Command;

use name::Name;
use splinter_bus::StoreOptions;

const POINT: &str = env!("CARGO_BIN_EXE_point");

/// Runs a program of `src/bin` in a role, and returns what it prints.
fn run(program: &str, role: &str, store: &str) -> String {
    let output = Command::new(program).args([role, store]).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_messages_of_one_struct_in_two_binaries_match_and_any_difference_is_named() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(4));
    let publish = |program| _ = run(program, "publish", &name);
    let received_by = |program| run(program, "receive", &name);

    publish(POINT);
    assert_eq!(received_by(POINT).trim(), "1 -2 in place");
    assert_eq!(received_by(env!("CARGO_BIN_EXE_point_again")).trim(), "1 -2 in place");
    for (program, expected) in [
        (env!("CARGO_BIN_EXE_point_swapped"), "Point{y:i32,x:u32,name:[u8;8]}"),
        (env!("CARGO_BIN_EXE_point_recoded"), "Point v1 (bytemuck, "),
        (env!("CARGO_BIN_EXE_point_newer"), "Point v2 (zerocopy, "),
    ] {
        let error = received_by(program);
        let line = |what: &str| error.lines().find(|line| line.contains(what)).unwrap();
        assert!(line("found:").contains("Point v1 (zerocopy, "), "{program}: {error}");
        assert!(line("found:").contains("Point{x:u32,y:i32,name:[u8;8]}"), "{program}: {error}");
        assert!(line("expected:").contains(expected), "{program}: {error}");
        publish(program);
        assert!(received_by(POINT).contains("is of another type, and cannot be read"), "{program}");
        publish(POINT);
    }
    assert_eq!(store.diagnostics().parse_failures, 6);
}
