//! The stress example finds no defect in the store, and finds each defect that is put in.
//!
//! The second half compiles the store again for each defect, so it is run on demand, with
//! `cargo test --test stress -- --ignored --nocapture`. `CARGO_TARGET_DIR` says where, as for any
//! build.

#[path = "../../../tests/support/wait.rs"]
mod wait;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wait::wait_until;

/// The example, which `cargo test` builds beside the tests.
fn program() -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/stress");
    assert!(path.exists(), "{} is not there: `cargo test` builds it, `cargo build --examples` too", path.display());
    path
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The summary of a run, which must find nothing wrong.
fn well(arguments: &[&str]) -> Value {
    let output = run(&program(), &[arguments, &["--json"]].concat());
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {printed}\n{errors}", output.status);
    serde_json::from_str(&printed).unwrap()
}

fn done(summary: &Value, kind: &str) -> u64 {
    summary["operations"][kind]["done"].as_u64().unwrap_or_else(|| panic!("no {kind} in {summary:#}"))
}

/// Checks that every kind of operation succeeded at least once.
fn assert_all_kinds(summary: &Value) {
    for (kind, row) in summary["operations"].as_object().unwrap() {
        assert!(row["done"].as_u64() > Some(0), "no {kind} in {summary:#}");
    }
    assert!(summary["jobs"]["handled"].as_u64() > Some(0), "{summary:#}");
}

#[test]
fn nothing_is_lost_torn_or_leaked_while_processes_are_killed_and_stopped() {
    let summary = well(&["--seconds", "3", "--kill-every", "40ms", "--stop-every", "30ms"]);
    assert_all_kinds(&summary);
    assert!(summary["kills"].as_u64() >= Some(10) && summary["stops"].as_u64() >= Some(10), "{summary:#}");
    assert_eq!(summary["workers"].as_u64(), Some(8 + summary["kills"].as_u64().unwrap()));
}

#[test]
fn threads_work_on_a_store_in_a_file_and_remove_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let arguments = ["--threads", "4", "--seconds", "1", "--keys", "2", "--sizes", "32..200", "--seed", "7"];
    let summary = well(&[&arguments[..], &["--file", path.to_str().unwrap()]].concat());
    assert_all_kinds(&summary);
    assert_eq!((summary["kills"].as_u64(), summary["workers"].as_u64()), (Some(0), Some(4)));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(done(&summary, "set") > 100, "{summary:#}");
}

#[test]
fn a_killed_run_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut child = Command::new(program())
            .args(["--seconds", "600", "--processes", "2"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let name = format!("splinter-stress-{}", child.id());
        let store = Path::new("/dev/shm").join(&name);
        wait_until("it has workers", || store.exists() && journals(&name) >= 2);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        wait_until("its traces are gone", || !store.exists() && journals(&name) == 0);
        wait_until("its workers are gone", || !is_mapped(&name));
    }
}

/// The number of journals that workers of this run have created.
fn journals(name: &str) -> usize {
    let directories = fs::read_dir(env::temp_dir()).unwrap().flatten();
    let ours = directories.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    let files = ours.filter_map(|entry| fs::read_dir(entry.path()).ok()).flatten().flatten();
    files.filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-")).count()
}

/// Whether any process has the store mapped.
fn is_mapped(name: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|entry| fs::read_to_string(entry.path().join("maps")).ok()).any(|maps| maps.contains(name))
}

/// A change that takes a step out of the protocol, and the defects that must be found.
struct Mutation {
    file: &'static str,
    before: &'static str,
    after: &'static str,
    /// Arguments beside the usual ones.
    arguments: &'static [&'static str],
    finds: &'static [&'static str],
}

const MUTATIONS: [Mutation; 6] = [
    // A reader does not check the cell again after the copy.
    Mutation {
        file: "src/store/ring/read.rs",
        before: "Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version)\n",
        after: "cell.header.seq.load(Ordering::Relaxed) == version || true\n",
        arguments: &[],
        finds: &["torn values delivered"],
    },
    // Writers overwrite pinned values.
    Mutation {
        file: "src/store/ring/claim.rs",
        before: "cell.pins.iter().any(|pins: &AtomicU64| pins.load(Ordering::SeqCst) != 0)",
        after: "cell.pins.iter().any(|pins: &AtomicU64| pins.load(Ordering::SeqCst) == u64::MAX)",
        arguments: &[],
        finds: &["torn values delivered"],
    },
    // Writers ignore lossless subscribers.
    Mutation {
        file: "src/store/ring/lossless.rs",
        before: "unread() || unfinished()",
        after: "(false && unread()) || unfinished()",
        arguments: &[],
        finds: &["lost lossless messages"],
    },
    // Writers ignore work queues.
    Mutation {
        file: "src/store/ring/lossless.rs",
        before: "unread() || unfinished()",
        after: "unread() || (false && unfinished())",
        arguments: &[],
        finds: &["lost jobs"],
    },
    // Two workers that lease the same job both get it.
    Mutation {
        file: "src/store/ring/queue.rs",
        before: "mine.bits(), Ordering::SeqCst, Ordering::Relaxed).ok()?;",
        after: "mine.bits(), Ordering::SeqCst, Ordering::Relaxed).ok();",
        // With one key, more workers compete for each job.
        arguments: &["--keys", "1"],
        finds: &["jobs done twice or never published"],
    },
    // Jobs of crashed workers are not requeued.
    Mutation {
        file: "src/store/ring/queue.rs",
        before: "Progress::Taken { participant, .. } if participant == dead => {",
        after: "Progress::Taken { participant, .. } if participant == dead && dead > 200 => {",
        arguments: &[],
        finds: &["lost jobs", "leaks"],
    },
];

#[test]
#[ignore = "compiles the store once for each mutation"]
fn missing_steps_of_the_protocol_are_found() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_sources(project, copy.path());
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.join("target"), PathBuf::from);
    let target = std::path::absolute(target).unwrap();
    // The unchanged copy has no defect, so what is found below is due to the changes.
    let (found, _) = stress_of(copy.path(), &target, &[]);
    assert_eq!(found, Vec::<String>::new());
    let mut missed = Vec::new();
    for Mutation { file, before, after, arguments, finds } in &MUTATIONS {
        let path = copy.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(before).count(), 1, "{before:?} in {file}");
        fs::write(&path, text.replace(before, after)).unwrap();
        let (found, code) = stress_of(copy.path(), &target, arguments);
        fs::write(&path, text).unwrap();
        println!("{file}: {after}\n  exit {code:?}, found {found:?}");
        if code != Some(1) || !finds.iter().any(|expected| found.iter().any(|found| found == expected)) {
            missed.push((file, after, finds, code, found));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Builds and runs the example of this copy. Returns the defects that it finds, and its exit code.
fn stress_of(project: &Path, target: &Path, arguments: &[&str]) -> (Vec<String>, Option<i32>) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--locked", "--example", "stress"]).current_dir(project);
    let built = cargo.env("CARGO_TARGET_DIR", target.join("stress-mutants")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program = target.join("stress-mutants/release/examples/stress");
    let output = run(&program, &[&["--seconds", "10", "--json"], arguments].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    let summary: Value = serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("{error}: {printed}\n{}", String::from_utf8_lossy(&output.stderr)));
    for described in summary["first_defects"].as_array().unwrap().iter().take(3) {
        println!("  {described}");
    }
    let found = summary["defects"].as_object().unwrap().iter().filter(|(_, count)| count.as_u64() != Some(0));
    (found.map(|(fault, _)| fault.clone()).collect(), output.status.code())
}

fn copy_sources(from: &Path, to: &Path) {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .unwrap();
    assert!(listed.status.success(), "the sources are those that git knows");
    for name in String::from_utf8(listed.stdout).unwrap().lines().filter(|name| from.join(name).is_file()) {
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}
