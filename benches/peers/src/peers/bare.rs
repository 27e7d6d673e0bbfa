//! Two cache lines in shared memory: one with a message, one with its number.
//!
//! This is the lower bound of a message between two cores, not a messaging system. It holds one
//! message, and the sender must not send again before that message was received.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use memmap2::MmapRaw;

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

pub(crate) struct Bare;

const WORDS: usize = 8;

#[repr(C, align(128))]
#[derive(Default)]
struct Line([AtomicU64; WORDS]);

#[repr(C)]
#[derive(Default)]
struct Lines {
    message: Line,
    number: Line,
}

pub(crate) struct Host(Vec<PathBuf>);

impl Drop for Host {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
}

pub(crate) struct End {
    mapping: MmapRaw,
    number: u64,
}

fn path(session: &str, channel: Channel) -> PathBuf {
    PathBuf::from(format!("/dev/shm/{session}-{}", channel.name()))
}

fn open(session: &str, channel: Channel) -> Result<End> {
    let file = File::options().read(true).write(true).open(path(session, channel))?;
    Ok(End { mapping: MmapRaw::map_raw(&file)?, number: 0 })
}

impl End {
    fn lines(&self) -> &Lines {
        assert!(self.mapping.len() >= size_of::<Lines>());
        // SAFETY: the mapping is page-aligned, long enough (asserted above), and lives as long as
        // `self`. It is accessed only through these atomics, which accept every bit pattern.
        unsafe { &*self.mapping.as_ptr().cast::<Lines>() }
    }
}

impl Peer for Bare {
    type Host = Host;
    type Sender = End;
    type Receiver = End;

    fn host(session: &str, spec: ChannelSpec) -> Result<Host> {
        if spec.pattern != Pattern::Spinning || spec.size != 64 {
            return Err(Unsupported("is only two cache lines, for one message of 64 bytes").into());
        }
        let host = Host([Channel::Forward, Channel::Backward].map(|channel| path(session, channel)).into());
        for path in &host.0 {
            File::create_new(path)?.set_len(size_of::<Lines>() as u64)?;
        }
        Ok(host)
    }

    fn sender(session: &str, channel: Channel, _: ChannelSpec) -> Result<End> {
        open(session, channel)
    }

    fn receiver(session: &str, channel: Channel, _: ChannelSpec) -> Result<End> {
        open(session, channel)
    }
}

impl peer::Sender for End {
    #[inline]
    fn send(&mut self, _: usize, message: &[u8]) -> Result<()> {
        self.number += 1;
        let lines = self.lines();
        for (word, bytes) in lines.message.0.iter().zip(message.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        // Pairs with the load in `receive`: the message is visible once its number is.
        lines.number.0[0].store(self.number, Ordering::Release);
        Ok(())
    }
}

impl peer::Receiver for End {
    #[inline]
    fn receive(&mut self, _: usize, into: &mut Vec<u8>) -> Result<bool> {
        // Pairs with the store in `send`.
        if self.lines().number.0[0].load(Ordering::Acquire) == self.number {
            return Ok(false);
        }
        self.number += 1;
        into.resize(8 * WORDS, 0);
        for (word, bytes) in self.lines().message.0.iter().zip(into.as_chunks_mut().0) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        Ok(true)
    }
}
