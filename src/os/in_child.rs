//! Tests that run in a process of their own: because what they change belongs to the whole process,
//! such as a limit, or because they need a private mount.

use std::env;
use std::process::{Command, Stdio};

const TEST: &str = "SPLINTER_TEST_IN_CHILD";

/// Runs the test of this name again, in a child, and requires that it succeeds. Returns whether
/// this process is that child, where the test does its work.
pub(super) fn in_child(test: &str) -> bool {
    run(test, Command::new(this_binary()))
}

/// As [`in_child`], with private mounts: the child first runs these commands of the shell. The test
/// is not run where private mounts are not allowed.
pub(super) fn in_child_with_mounts(test: &str, commands: &str) -> bool {
    if is_child(test) {
        return true;
    }
    let mut allowed = Command::new("unshare");
    if !allowed.args(["-r", "-m", "true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("not run: this machine does not allow private mounts");
        return false;
    }
    run(test, shell("unshare -r -m sh -c", commands))
}

/// As [`in_child_with_mounts`], for mounts of devices, which need the real root.
pub(super) fn in_child_with_mounted_devices(test: &str, commands: &str) -> bool {
    run(test, shell("unshare -m sh -c", commands))
}

fn shell(unshare: &str, commands: &str) -> Command {
    let mut words = unshare.split(' ');
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words).arg(format!("{commands} && exec \"$0\" \"$@\"")).arg(this_binary());
    command
}

fn run(test: &str, mut command: Command) -> bool {
    if is_child(test) {
        return true;
    }
    command.args(["--exact", test, "--nocapture", "--quiet", "--include-ignored"]).env(TEST, test);
    let output = command.output().expect("a child");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    print!("{out}");
    assert!(output.status.success(), "{test}: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "there is no test {test}");
    false
}

fn is_child(test: &str) -> bool {
    env::var(TEST).is_ok_and(|running| running == test)
}

fn this_binary() -> std::path::PathBuf {
    env::current_exe().expect("a test binary")
}
