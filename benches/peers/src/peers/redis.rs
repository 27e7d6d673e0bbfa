//! Redis over a Unix socket: string values, and lists for messages that are received in order.
//!
//! Every operation is a round trip to the server process through the kernel.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use redis::{Client, Connection};

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

pub(crate) struct Redis;

/// A server without persistence, which is started for the measurement and killed on drop.
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
    pattern: Pattern,
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

fn ends(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
    // Two senders to one receiver share a list.
    let channel = if spec.pattern == Pattern::Lossless { "all" } else { channel.name() };
    let keys = (0..spec.keys).map(|key| format!("{channel} {key}")).collect();
    Ok(Ends { connection: connect(session)?, keys, pattern: spec.pattern })
}

impl Peer for Redis {
    type Host = Host;
    type Sender = Ends;
    type Receiver = Ends;

    fn host(session: &str, _: ChannelSpec) -> Result<Host> {
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
            return Err(Unsupported("is not installed").into());
        };
        let host = Host { server, directory };
        connect(session)?;
        Ok(host)
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
        ends(session, channel, spec)
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
        ends(session, channel, spec)
    }
}

impl Ends {
    fn get_or_pop(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let command = if self.pattern == Pattern::Newest { "GET" } else { "RPOP" };
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
        let command = if self.pattern == Pattern::Newest { "SET" } else { "LPUSH" };
        redis::cmd(command).arg(&self.keys[key]).arg(message).exec(&mut self.connection)?;
        Ok(())
    }
}

impl peer::Receiver for Ends {
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        self.get_or_pop(key, into)
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let popped: Option<(String, Vec<u8>)> =
            redis::cmd("BRPOP").arg(&self.keys[0]).arg(0).query(&mut self.connection)?;
        let (_, message) = popped.context("BRPOP without a timeout returned no message")?;
        ensure!(!message.is_empty(), "received an empty message");
        *into = message;
        Ok(())
    }
}
