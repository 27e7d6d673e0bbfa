//! Checks that all workers read the same value of a version.
//!
//! Each worker remembers the last versions of each key. For one version in 64, the first reader
//! writes the checksum of the value to a file that all processes share; there is one file per key.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::value::Proof;

/// How many versions of a key a worker remembers.
const REMEMBERED: usize = 1024;
/// One in so many versions is shared with other processes.
const SHARED: u64 = 64;

pub(crate) struct Witness {
    name: String,
    shared: File,
    seen: Vec<(u64, u64)>,
}

impl Witness {
    pub(crate) fn new(arena: &Arena, sort: Sort, key: u32) -> io::Result<Self> {
        let name = arena.name(sort, key);
        let path = arena.directory.join(format!("witness-{}", arena.number(sort, key)));
        let shared = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        Ok(Self { name, shared, seen: vec![(0, 0); REMEMBERED] })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Compares the value of a version with earlier observations.
    pub(crate) fn observe(&mut self, version: u64, proof: &Proof) -> Result<(), Defect> {
        let seen = &mut self.seen[version as usize % REMEMBERED];
        let before = if seen.0 == version {
            seen.1
        } else {
            *seen = (version, proof.sum);
            if !version.is_multiple_of(SHARED) {
                return Ok(());
            }
            self.share(version, proof.sum).map_err(|error| Defect::failed(&self.name, "witness", &error))?
        };
        if before == proof.sum {
            return Ok(());
        }
        let what = format!("expected the value with sum {before:016x}, found {:016x} of {:?}", proof.sum, proof.origin);
        Err(Defect::new(Fault::Ambiguous, &self.name, version, what))
    }

    /// Returns the checksum that the first reader has shared. Shares ours if there is none.
    fn share(&self, version: u64, sum: u64) -> io::Result<u64> {
        let (at, mut before) = (version / SHARED * 8, [0; 8]);
        match self.shared.read_exact_at(&mut before, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
        if before == [0; 8] {
            self.shared.write_all_at(&sum.to_le_bytes(), at)?;
            return Ok(sum);
        }
        Ok(u64::from_le_bytes(before))
    }
}
