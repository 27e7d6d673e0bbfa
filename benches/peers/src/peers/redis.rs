//! Redis over a Unix socket: a daemon, and a round trip through the kernel for everything. Values of keys, and a list where messages are waited for.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use redis::{Client, Connection};

use crate::peer::{self, Blank, Channel, Job, Kind, Peer};

pub(crate) struct Redis;

/// A server of our own, which keeps nothing on disk.
pub(crate) struct Host {
    server: Child,
    directory: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) struct Ends {
    connection: Connection,
    keys: Vec<String>,
    kind: Kind,
}

fn directory(session: &str) -> PathBuf {
    std::env::temp_dir().join(session)
}

fn connect(session: &str) -> Result<Connection> {
    let socket = directory(session).join("redis");
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match client.get_connection() {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            connection => return connection.context("connect to redis-server"),
        }
    }
}

fn ends(session: &str, channel: Channel, job: Job) -> Result<Ends> {
    // Two senders of one job share a list.
    let channel = if job.kind == Kind::All { "all" } else { channel.name() };
    let keys = (0..job.keys).map(|key| format!("{channel} {key}")).collect();
    Ok(Ends { connection: connect(session)?, keys, kind: job.kind })
}

impl Peer for Redis {
    type Host = Host;
    type Sender = Ends;
    type Receiver = Ends;

    fn host(session: &str, _: Job) -> Result<Host> {
        let directory = directory(session);
        std::fs::create_dir(&directory)?;
        let socket = directory.join("redis");
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(&directory)
            .stdout(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            let _ = std::fs::remove_dir_all(&directory);
            return Err(Blank("is not installed here").into());
        };
        let host = Host { server, directory };
        connect(session)?;
        Ok(host)
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Ends> {
        ends(session, channel, job)
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Ends> {
        ends(session, channel, job)
    }
}

impl Ends {
    fn take(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let command = if self.kind == Kind::Newest { "GET" } else { "RPOP" };
        let value: Option<Vec<u8>> = redis::cmd(command).arg(&self.keys[key]).query(&mut self.connection)?;
        let found = value.is_some();
        if let Some(value) = value {
            *into = value;
        }
        Ok(found)
    }
}

impl peer::Sender for Ends {
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        let command = if self.kind == Kind::Newest { "SET" } else { "LPUSH" };
        redis::cmd(command).arg(&self.keys[key]).arg(message).exec(&mut self.connection)?;
        Ok(())
    }
}

impl peer::Receiver for Ends {
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        self.take(key, into)
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let popped: Option<(String, Vec<u8>)> =
            redis::cmd("BRPOP").arg(&self.keys[0]).arg(0).query(&mut self.connection)?;
        let (_, message) = popped.context("BRPOP without a time limit ended without a message")?;
        ensure!(!message.is_empty(), "an empty message");
        *into = message;
        Ok(())
    }
}
