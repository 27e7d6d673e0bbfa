//! The clean epoch: in which file, and in which run of the machine, a store was found sound.
//!
//! It stands in the directory header. A copy of the file, and the same file after a restart of the machine, have another one.
//! A crash before it is written leaves the store as one that was not found sound: the next process that opens it checks it.

use std::fs::File;
use std::io;

use xxhash_rust::xxh3::Xxh3;

use crate::os::file;

/// The number that distinguishes this file from any other; for a persistent file, in this run of
/// the machine. Never 0. `None` if it is unknown: then it differs from all others, also from
/// itself.
pub(crate) fn of_file(file: &File, persistent: bool) -> io::Result<Option<u64>> {
    let boot = if persistent { file::boot_id()? } else { Some(Vec::new()) };
    let identity = file::identity(file)?;
    Ok(boot.map(|boot| hash_of(&boot, &identity)))
}

fn hash_of(boot: &[u8], identity: &[u64]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(boot);
    for part in identity {
        hasher.update(&part.to_ne_bytes());
    }
    hasher.digest().max(UNKNOWN + 1)
}

/// The clean epoch of a store in a file if the kernel does not distinguish one run of the machine
/// from another.
pub(crate) const UNKNOWN: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_epoch_belongs_to_one_file_in_one_run_of_the_machine_and_is_never_unknown() {
        let identity = [1, 2, 3, 4];
        let epoch = hash_of(b"one run", &identity);
        assert_eq!(epoch, hash_of(b"one run", &identity));
        assert_ne!(epoch, hash_of(b"another run", &identity));
        assert_ne!(epoch, hash_of(b"one run", &[1, 2, 3, 5]));
        assert_ne!(epoch, UNKNOWN);
    }
}
