//! The clean epoch: in which file, and in which run of the machine, a store was found sound.

use std::fs::File;
use std::io;

use xxhash_rust::xxh3::Xxh3;

use crate::os::file;

/// What distinguishes this file from any other, in this run of the machine if it is one that outlives it; never 0. `None` if that is unknown: it
/// is different from everything, also from itself.
pub(crate) fn home(file: &File, persistent: bool) -> io::Result<Option<u64>> {
    let boot = if persistent { file::boot_id()? } else { Some(Vec::new()) };
    let identity = file::identity(file)?;
    Ok(boot.map(|boot| home_of(&boot, &identity)))
}

fn home_of(boot: &[u8], identity: &[u64]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(boot);
    for part in identity {
        hasher.update(&part.to_ne_bytes());
    }
    hasher.digest().max(UNKNOWN + 1)
}

/// The home of a store in a file when the kernel does not distinguish one run of the machine from another.
pub(crate) const UNKNOWN: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_of_one_file_in_one_run_of_the_machine_and_never_the_unknown_one() {
        let identity = [1, 2, 3, 4];
        let home = home_of(b"one run", &identity);
        assert_eq!(home, home_of(b"one run", &identity));
        assert_ne!(home, home_of(b"another run", &identity));
        assert_ne!(home, home_of(b"one run", &[1, 2, 3, 5]));
        assert_ne!(home, UNKNOWN);
    }
}
