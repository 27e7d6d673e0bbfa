//! The chat example as its users run it: real processes, real kills, good and bad input.

#[path = "../../../tests/support/name.rs"]
mod name;
#[path = "../../../tests/support/wait.rs"]
mod wait;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use name::Name;
use serde_json::Value;
use splinter_bus::store::Store;

/// The example, which `cargo test` builds beside the tests.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/chat");
    assert!(path.exists(), "{} is not there: `cargo test` builds it, `cargo build --examples` too", path.display());
    path
}

fn chat(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    chat(arguments).output().unwrap()
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = chat(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Checks that every query has its answer from another process, in pieces without a gap. Returns
/// the texts of the queries.
fn assert_all_answered(rows: &[Value]) -> Vec<String> {
    let mut answers: HashMap<&str, Vec<&Value>> = HashMap::new();
    for row in rows.iter().filter(|row| row["direction"] == "received") {
        assert_eq!(row["type"], "response", "{row}");
        assert!(row["latency_us"].as_f64().unwrap() >= 0.0 && row["version"].as_u64().unwrap() > 0, "{row}");
        answers.entry(row["id"].as_str().unwrap()).or_default().push(row);
    }
    let queries = rows.iter().filter(|row| row["type"] == "query");
    queries
        .map(|query| {
            let answer = answers.remove(query["id"].as_str().unwrap()).unwrap_or_else(|| panic!("no answer: {query}"));
            for (number, piece) in answer.iter().enumerate() {
                assert_eq!(piece["seq"], number, "{piece}");
                assert_eq!(piece["eof"], number + 1 == answer.len(), "{piece}");
                assert_ne!(piece["pid"], query["pid"], "{piece}");
            }
            assert!(answer.iter().any(|piece| piece["text"] != ""), "an empty answer: {query}");
            query["text"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn every_prompt_is_answered_whatever_is_in_it() {
    let mut input = String::new();
    for number in 0..60 {
        match number % 6 {
            0 => input.push_str("\n   \n"),
            1 => writeln!(input, "Warum ist der Himmel blau, {number}? 空はなぜ青いのか 🌊").unwrap(),
            2 => writeln!(input, "{}", "a river runs to the sea ".repeat(125)).unwrap(),
            3 => writeln!(input, "\"quoted\" \\ back\tslash {number}").unwrap(),
            _ => writeln!(input, "How does a bicycle stay upright, number {number}?").unwrap(),
        }
    }
    let output = with_input(&["--prompts", "-", "--json"], &input);
    assert!(output.status.success(), "{}", errors(&output));
    let asked = assert_all_answered(&rows(&output));
    let expected: Vec<_> = input.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(asked, expected);
    assert!(expected.iter().any(|prompt| prompt.len() > 2900));
}

#[test]
fn prompts_and_answers_are_printed_for_people() {
    let output = with_input(&["--prompts", "-"], "Why is the sky blue?\n");
    assert!(output.status.success(), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let (prompt, answer) = text.trim().split_once('\n').unwrap();
    assert_eq!(prompt, "> Why is the sky blue?");
    assert!(answer.split_whitespace().count() > 3, "{answer}");
}

#[test]
fn an_answer_longer_than_the_history_arrives_whole() {
    let output = with_input(&["--prompts", "-", "--json", "--max-tokens", "3000"], "Tell me everything.\nAnd more.\n");
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(assert_all_answered(&rows(&output)).len(), 2);
}

#[test]
fn an_empty_list_of_prompts_is_answered_at_once() {
    let output = with_input(&["--prompts", "-"], "\n\n");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", errors(&output));
}

#[test]
fn clients_and_workers_share_a_store_and_each_client_gets_its_own_answers() {
    let name = Name::new();
    let both = ["--store", &*name];
    // The clients start first, and wait for the workers.
    let clients: Vec<_> = (0..5)
        .map(|client| {
            let mut child = chat(&["--role", "client", "--json", "--prompts", "-", both[0], both[1]])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let input: String = (0..8).map(|number| format!("Client {client} asks about rivers, {number}\n")).collect();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child
        })
        .collect();
    let workers: Vec<_> =
        (0..3).map(|_| Killed(chat(&["--role", "worker", both[0], both[1]]).spawn().unwrap())).collect();
    let mut answered_by = HashMap::new();
    for (number, client) in clients.into_iter().enumerate() {
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", errors(&output));
        let rows = rows(&output);
        let asked = assert_all_answered(&rows);
        assert_eq!(asked.len(), 8);
        assert!(asked.iter().all(|prompt| prompt.starts_with(&format!("Client {number} "))));
        for row in rows.iter().filter(|row| row["direction"] == "received") {
            *answered_by.entry(row["pid"].as_u64().unwrap()).or_insert(0) += 1;
        }
    }
    drop(workers);
    assert!(answered_by.len() > 1, "one worker did it all: {answered_by:?}");
    // Clients remove what they created. Workers that were killed could not.
    let keys = Store::open(&name).unwrap().keys();
    assert!(!keys.iter().any(|key| key.starts_with("chat:answer:")), "{keys:?}");
}

#[test]
fn a_worker_killed_during_an_answer_is_reported() {
    let name = Name::new();
    let server = endless_server();
    let worker = chat(&["--role", "worker", "--openai", &server, "--model", "m", "--store", &name]).spawn().unwrap();
    let mut worker = Killed(worker);
    let mut client = chat(&["--role", "client", "--json", "--prompts", "-", "--store", &name, "--max-tokens", "60000"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all("first prompt\nsecond prompt\n".as_bytes()).unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let started = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"response\""));
    assert!(started.is_some(), "no answer began");
    worker.0.kill().unwrap();
    worker.0.wait().unwrap();
    let begun = std::time::Instant::now();
    lines.for_each(drop);
    let output = client.wait_with_output().unwrap();
    assert!(begun.elapsed() < wait::DEADLINE);
    assert_eq!(output.status.code(), Some(1));
    let errors = errors(&output);
    assert!(errors.contains("ended during its answer"), "{errors}");
    assert!(errors.contains("2 prompts have no complete answer"), "{errors}");
    assert!(errors.contains("\"first prompt\"") && errors.contains("\"second prompt\""), "{errors}");
}

#[test]
fn another_worker_takes_over_from_a_killed_one() {
    let name = Name::new();
    let server = endless_server();
    let worker = chat(&["--role", "worker", "--openai", &server, "--model", "m", "--store", &name]).spawn().unwrap();
    let mut dying = Killed(worker);
    let mut client = chat(&["--role", "client", "--json", "--prompts", "-", "--store", &name, "--max-tokens", "60000"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all("Why is the sky blue?\n".as_bytes()).unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("\"response\"")), "no answer began");
    let mut heir = Killed(chat(&["--role", "worker", "--store", &name]).spawn().unwrap());
    // It reports on its standard error that it is ready for prompts.
    let mut ready = String::new();
    BufReader::new(heir.0.stderr.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.contains("takes prompts"), "{ready}");
    dying.0.kill().unwrap();
    assert!(lines.any(|line| line.contains("\"eof\":true") && line.contains("\"response\"")), "not taken over");
    lines.for_each(drop);
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn a_server_error_is_reported_with_its_text_and_the_prompts() {
    let server = server(|request| {
        assert!(request.contains("\"model\":\"m\""), "{request}");
        "HTTP/1.1 503 Busy\r\nContent-Length: 42\r\n\r\n{\"error\":{\"message\":\"the model is on fire\"}}".to_owned()
    });
    let output = with_input(&["--openai", &server, "--model", "m", "--prompts", "-", "--json"], "hello\n");
    assert_eq!(output.status.code(), Some(1));
    let errors = errors(&output);
    assert!(errors.contains("on fire") && errors.contains("503") && errors.contains("\"hello\""), "{errors}");
    assert!(rows(&output).iter().any(|row| row["type"] == "error"));
}

#[test]
fn bad_options_and_files_are_reported_in_one_line() {
    for (arguments, words) in [
        (&["--prompts", "/nowhere/prompts"][..], "cannot read the prompts in /nowhere/prompts"),
        (&["--prompts", "/"], "it is a directory"),
        (&["--corpus", "/nowhere/corpus"], "cannot read the corpus /nowhere/corpus"),
        (&["--corpus", "/dev/null"], "has no words"),
        (&["--openai", "https://example.invalid"], "https"),
        (&["--openai", "not a url"], "is not the address of a model server"),
        (&["--store", "/nowhere/store"], "the directory \"/nowhere\", which does not exist"),
        (&["--max-tokens", "0"], "0 is not in 1..=65536"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(errors(&output).contains(words), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn a_prompt_that_is_too_long_is_reported_and_the_others_are_answered() {
    let input = format!("one\n{}\ntwo\n", "too long ".repeat(2_000_000));
    let output = with_input(&["--prompts", "-", "--json"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(assert_all_answered(&rows(&output)), ["one", "two"]);
    let errors = errors(&output);
    assert!(errors.contains("prompt 2") && errors.contains("value too large: 18000"), "{errors}");
}

#[test]
fn a_client_without_a_worker_ends_after_its_timeout() {
    let name = Name::new();
    let arguments = ["--role", "client", "--store", &*name, "--timeout", "100ms", "--prompts", "-"];
    let output = with_input(&arguments, "anybody there?\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("no worker is running"), "{}", errors(&output));
}

#[test]
fn a_killed_run_of_both_sides_leaves_nothing_behind() {
    let server = endless_server();
    let mut both = chat(&["--openai", &server, "--model", "m", "--max-tokens", "60000", "--json"]).spawn().unwrap();
    let store = format!("splinter-chat-{}", both.id());
    let mut lines = BufReader::new(both.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("\"response\"")), "no answer began");
    wait::wait_until("the store has lost its name", || Store::open(&store).is_err());
    both.kill().unwrap();
    both.wait().unwrap();
    // The worker ends with its parent, and the client with the last worker. Then the pipe is
    // closed.
    lines.for_each(drop);
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a model server that answers every request with the result of `answer`. Returns its
/// address.
fn server(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    serve(move |request, stream| {
        let _ = stream.write_all(answer(request).as_bytes());
    })
}

/// Starts a model server whose answer never ends. Returns its address.
fn endless_server() -> String {
    serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let piece = "data: {\"choices\":[{\"delta\":{\"content\":\" word\"}}]}\n\n";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            // Sets the pace: about as fast as a large model.
            thread::sleep(std::time::Duration::from_millis(1));
            sent = stream.write_all(piece.as_bytes());
        }
    })
}

fn serve(answer: impl Fn(&str, &mut std::net::TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut request, mut len) = (String::new(), 0);
                while reader.read_line(&mut request).unwrap_or(0) > 2 {
                    let line = request.lines().last().unwrap_or_default().to_lowercase();
                    len = line.strip_prefix("content-length:").map_or(len, |value| value.trim().parse().unwrap());
                }
                let mut body = vec![0; len];
                reader.read_exact(&mut body).unwrap();
                request.push_str(&String::from_utf8_lossy(&body));
                answer(&request, &mut stream);
            });
        }
    });
    address
}
