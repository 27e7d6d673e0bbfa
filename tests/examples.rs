//! The small examples print what their descriptions say. `cargo test` builds them.

use std::process::Command;

/// Runs an example, and returns its standard output.
fn run(example: &str) -> String {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let output = Command::new(path.join("examples").join(example)).output().expect("an example that was built");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{example}: {}\n{printed}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn the_work_queue_example_acknowledges_all_jobs() {
    let printed = run("work_queue");
    assert!(printed.ends_with("remaining: Some(QueueSnapshot { waiting: 0, taken: 0 })\n"), "{printed}");
    let handled = printed.lines().filter(|line| line.contains(" handled /page/"));
    assert_eq!(handled.count(), 100, "{printed}");
    if printed.contains("crashing crashes") {
        assert_eq!(printed.matches("attempt 2").count(), 1, "{printed}");
    }
}

#[test]
fn the_zero_copy_example_reads_prompts_and_embeddings_in_place() {
    let printed = run("zero_copy");
    assert!(printed.contains("\"Why is the sky blue?\""), "{printed}");
    assert!(printed.contains("embedding of prompt 7, in place: [0.34, 0.41, 0.47, 0.13] ..."), "{printed}");
}

#[test]
#[cfg(feature = "async")]
fn the_async_tokio_example_prints_all_words() {
    assert_eq!(run("async_tokio"), "Why is the sky blue . \n");
}
