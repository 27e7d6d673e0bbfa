//! A Unix datagram socket: what everybody has.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use rustix::net::sockopt;

use crate::peer::{self, Blank, Channel, Job, Kind, Peer};

pub(crate) struct UnixSocket;

pub(crate) struct Host(PathBuf);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Sender {
    socket: UnixDatagram,
    to: PathBuf,
}

pub(crate) struct Receiver {
    socket: UnixDatagram,
    size: usize,
}

fn directory(session: &str) -> PathBuf {
    std::env::temp_dir().join(session)
}

fn path(session: &str, channel: Channel, job: Job) -> PathBuf {
    // Two senders of one job share a receiver.
    directory(session).join(if job.kind == Kind::All { "all" } else { channel.name() })
}

impl Peer for UnixSocket {
    type Host = Host;
    type Sender = Sender;
    type Receiver = Receiver;

    fn receiver_first(_: Kind) -> bool {
        true
    }

    fn host(session: &str, job: Job) -> Result<Host> {
        if job.keys > 1 {
            return Err(Blank("has no keys").into());
        }
        if job.size > 64 << 10 {
            return Err(Blank("has no datagrams of that size, unless the system is told to").into());
        }
        let directory = directory(session);
        std::fs::create_dir(&directory)?;
        Ok(Host(directory))
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Sender> {
        let socket = UnixDatagram::unbound()?;
        sockopt::set_socket_send_buffer_size(&socket, 4 << 20)?;
        Ok(Sender { socket, to: path(session, channel, job) })
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Receiver> {
        let socket = UnixDatagram::bind(path(session, channel, job))?;
        socket.set_nonblocking(job.kind != Kind::Asleep)?;
        Ok(Receiver { socket, size: job.size })
    }
}

impl peer::Sender for Sender {
    #[inline]
    fn send(&mut self, _: usize, message: &[u8]) -> Result<()> {
        let sent = self.socket.send_to(message, &self.to)?;
        ensure!(sent == message.len(), "a datagram was cut");
        Ok(())
    }
}

impl peer::Receiver for Receiver {
    #[inline]
    fn receive(&mut self, _: usize, into: &mut Vec<u8>) -> Result<bool> {
        into.resize(self.size, 0);
        match self.socket.recv(into) {
            Ok(received) => {
                ensure!(received == self.size, "a datagram was cut");
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        self.receive(0, into).map(drop)
    }
}
