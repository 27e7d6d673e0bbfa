//! A scripted HTTP server: each request is answered by the next script.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than a test takes that passes. A test fails when it has waited for this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// The bytes of a response, and what the server does after them.
pub(super) struct Script {
    bytes: Vec<u8>,
    then: Then,
}

enum Then {
    Close,
    HangUntilTheClientLeaves,
    RepeatUntilTheClientLeaves(Vec<u8>),
}

impl Script {
    /// A complete response with a content length.
    pub(super) fn response(status: &str, content_type: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { bytes: head.into_bytes(), then: Then::Close }
    }

    pub(super) fn json(status: &str, body: &str) -> Self {
        Self::response(status, "application/json", body)
    }

    /// A complete event stream with one HTTP chunk for each of `parts`.
    pub(super) fn stream<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut script = Self::unfinished_stream(parts);
        script.bytes.extend_from_slice(b"0\r\n\r\n");
        script
    }

    /// An event stream without its last chunk.
    pub(super) fn unfinished_stream<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
            connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
        for part in parts {
            bytes.extend(chunk(part.as_ref()));
        }
        Self { bytes, then: Then::Close }
    }

    /// Raw bytes.
    pub(super) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Close }
    }

    pub(super) fn then_hang(mut self) -> Self {
        self.then = Then::HangUntilTheClientLeaves;
        self
    }

    /// Repeats the same part of a stream without end.
    pub(super) fn then_repeat(mut self, part: impl AsRef<[u8]>) -> Self {
        self.then = Then::RepeatUntilTheClientLeaves(chunk(part.as_ref()));
        self
    }
}

fn chunk(part: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
    chunk.extend_from_slice(part);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A received request.
#[derive(Debug)]
pub(super) struct Request {
    /// Method and path.
    pub(super) line: String,
    /// The names are in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Serves its scripts in order, each on a new connection.
pub(super) struct TestServer {
    pub(super) url: String,
    requests: mpsc::Receiver<Request>,
    departures: mpsc::Receiver<()>,
}

impl TestServer {
    pub(super) fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scripts: Vec<Script> = scripts.into_iter().collect();
        let (request_sender, requests) = mpsc::channel();
        let (departure_sender, departures) = mpsc::channel();
        thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
                let Ok(request) = read_request(&stream) else {
                    return;
                };
                // The test may have ended already.
                let _ = request_sender.send(request);
                let _ = play(&stream, script);
                let _ = departure_sender.send(());
            }
        });
        Self { url, requests, departures }
    }

    /// Returns the next request. It must have been sent already.
    pub(super) fn request(&self) -> Request {
        self.requests.recv_timeout(DEADLINE).expect("the server gets a request")
    }

    /// Waits until a script has ended: all is sent, or the client has disconnected.
    pub(super) fn wait_for_end_of_script(&self) {
        self.departures.recv_timeout(DEADLINE).expect("the client leaves the server");
    }
}

/// Returns the address of a server that is not running.
pub(super) fn address_without_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn read_request(stream: &TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8(body).unwrap();
    Ok(request)
}

fn play(mut stream: &TcpStream, script: Script) -> io::Result<()> {
    stream.write_all(&script.bytes)?;
    match script.then {
        Then::Close => stream.shutdown(Shutdown::Write),
        Then::HangUntilTheClientLeaves => io::copy(&mut stream, &mut io::sink()).map(drop),
        Then::RepeatUntilTheClientLeaves(chunk) => loop {
            stream.write_all(&chunk)?;
        },
    }
}
