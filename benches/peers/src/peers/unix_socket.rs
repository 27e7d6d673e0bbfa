//! A Unix datagram socket: the baseline that needs no library.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use rustix::net::sockopt;

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

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

fn path(session: &str, channel: Channel, spec: ChannelSpec) -> PathBuf {
    // Two senders share one receiver.
    directory(session).join(if spec.pattern == Pattern::Lossless { "all" } else { channel.name() })
}

impl Peer for UnixSocket {
    type Host = Host;
    type Sender = Sender;
    type Receiver = Receiver;

    fn receiver_first(_: Pattern) -> bool {
        true
    }

    fn host(session: &str, spec: ChannelSpec) -> Result<Host> {
        if spec.keys > 1 {
            return Err(Unsupported("has no keys").into());
        }
        if spec.size > 64 << 10 {
            return Err(Unsupported("has no datagrams of this size with the default limits of the kernel").into());
        }
        let directory = directory(session);
        std::fs::create_dir(&directory)?;
        Ok(Host(directory))
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Sender> {
        let socket = UnixDatagram::unbound()?;
        sockopt::set_socket_send_buffer_size(&socket, 4 << 20)?;
        Ok(Sender { socket, to: path(session, channel, spec) })
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Receiver> {
        let socket = UnixDatagram::bind(path(session, channel, spec))?;
        socket.set_nonblocking(spec.pattern != Pattern::Sleeping)?;
        Ok(Receiver { socket, size: spec.size })
    }
}

impl peer::Sender for Sender {
    #[inline]
    fn send(&mut self, _: usize, message: &[u8]) -> Result<()> {
        let sent = self.socket.send_to(message, &self.to)?;
        ensure!(sent == message.len(), "a datagram was truncated");
        Ok(())
    }
}

impl peer::Receiver for Receiver {
    #[inline]
    fn receive(&mut self, _: usize, into: &mut Vec<u8>) -> Result<bool> {
        into.resize(self.size, 0);
        match self.socket.recv(into) {
            Ok(received) => {
                ensure!(received == self.size, "a datagram was truncated");
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
