//! Journals of the events of jobs, which survive when their writer is killed.
//!
//! There is one file for each worker. Records have a fixed size, and each is appended by one system
//! call before the worker continues.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::arena::Arena;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Written before the job is published.
    Intended,
    Refused,
    Published,
    /// Written after the job is handled and before it is acknowledged.
    Handled,
    Acknowledged,
}

const EVENTS: [Event; 5] = [Event::Intended, Event::Refused, Event::Published, Event::Handled, Event::Acknowledged];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) event: Event,
    pub(crate) queue: u32,
    /// The worker that published the job, and its sequence number among the jobs of this worker.
    pub(crate) publisher: u64,
    pub(crate) sequence: u64,
    /// 0 if it is unknown.
    pub(crate) version: u64,
    pub(crate) attempt: u8,
}

const LEN: usize = 32;

impl Record {
    fn bytes(self) -> [u8; LEN] {
        let first = u64::from(self.queue) << 32 | u64::from(self.attempt) << 8 | self.event as u64;
        let mut bytes = [0; LEN];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip([first, self.publisher, self.sequence, self.version]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(8 * at..8 * at + 8)?.try_into().ok()?));
        let first = word(0)?;
        Some(Self {
            event: *EVENTS.get(first as usize & 0xff)?,
            queue: (first >> 32) as u32,
            publisher: word(1)?,
            sequence: word(2)?,
            version: word(3)?,
            attempt: (first >> 8) as u8,
        })
    }
}

pub(crate) struct Journal {
    file: File,
}

impl Journal {
    pub(crate) fn new(arena: &Arena, worker: u64) -> io::Result<Self> {
        let path = arena.directory.join(format!("journal-{worker}"));
        Ok(Self { file: File::options().append(true).create_new(true).open(path)? })
    }

    pub(crate) fn write(&mut self, record: Record) -> io::Result<()> {
        self.file.write_all(&record.bytes())
    }
}

/// Returns all records of a worker; none if it has no journal.
pub(crate) fn read(directory: &Path, worker: u64) -> io::Result<Vec<Record>> {
    let mut bytes = Vec::new();
    match File::open(directory.join(format!("journal-{worker}"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        file => drop(file?.read_to_end(&mut bytes)?),
    }
    Ok(bytes.chunks_exact(LEN).filter_map(Record::parse).collect())
}
