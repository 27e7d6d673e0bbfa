//! How much memory a store takes, and for what.

use std::fmt;
use std::io;

use crate::core::index;
use crate::store::slot::KeyMemory;
use crate::store::store::Store;

/// How much memory a store takes, in bytes of its file that are reserved; for a store in a file, of
/// the disk.
///
/// The parts are read one after the other, beside processes that publish. So their sum may differ
/// from the whole. The file system may need some more for its own records. Where it uses huge pages
/// (the mount option `huge=`), `reserved` may be many times the sum of the parts: they count what was asked
/// for, and `reserved` counts what was taken.
///
/// Page tables are not counted. Each process has its own: 0.3 MiB for a thousand keys of values up to 4 KiB,
/// and 12 to 16 KiB for each key whose longer values it uses.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-memory-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("prompt", &[7; 100_000])?;
/// let memory = store.memory()?;
/// assert!(memory.fixed + memory.rings + memory.values <= memory.reserved);
/// println!("{memory}"); // such as: 200 KiB reserved (fixed 84 KiB, rings 8.0 KiB, ...), 21 GiB mapped
/// for (key, of_key) in &memory.keys {
///     println!("{key}: {} bytes of at most {}", of_key.value, of_key.max_len);
/// }
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Everything that is reserved, as the file system says.
    pub reserved: u64,
    /// What every store has: header, participants, index of keys, headers of slots.
    pub fixed: u64,
    /// Rings: cells, with values of up to 4 KiB, in whole pages. Those of removed keys are among them.
    pub rings: u64,
    /// The newest values, as far as they are long.
    pub values: u64,
    /// Older long values, and places that are free for the next ones.
    pub history: u64,
    /// Addresses that this process has mapped. They take no memory, but count for `RLIMIT_AS`.
    pub mapped: u64,
    /// The memory of each key, sorted by key.
    pub keys: Vec<(String, KeyMemory)>,
}

impl Store {
    /// How much memory the store takes, and for what. Never blocks.
    ///
    /// Makes a few system calls for each slot that is in use, and touches no value.
    ///
    /// # Errors
    ///
    /// The kernel's reason: the file cannot be examined.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-memory-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(store.memory()?.reserved < 1 << 20);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(&self) -> io::Result<Memory> {
        let mapped = self.mapped();
        let mut memory = Memory {
            reserved: mapped.reserved()?,
            fixed: mapped.fixed_len(),
            rings: mapped.shared_pages_len(mapped.used_slots()),
            values: 0,
            history: 0,
            mapped: self.session.mapped_len(),
            keys: Vec::new(),
        };
        for slot in 0..mapped.used_slots() {
            let of_key = self.session.on_slot(slot, |ring| KeyMemory::of(mapped, ring));
            memory.rings += of_key.ring;
            memory.values += of_key.value;
            memory.history += of_key.history;
            memory.keys.extend(index::key_of(mapped, slot).map(|key| (key, of_key)));
        }
        memory.keys.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(memory)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reserved, fixed, rings, values, history, mapped, .. } = *self;
        write!(
            f,
            "{} reserved (fixed {}, rings {}, values {}, history {}), {} mapped",
            Bytes(reserved),
            Bytes(fixed),
            Bytes(rings),
            Bytes(values),
            Bytes(history),
            Bytes(mapped)
        )
    }
}

/// A number of bytes, for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut units) = (self.0 as f64, ["B", "KiB", "MiB", "GiB", "TiB"].into_iter());
        let mut unit = units.next().unwrap_or_default();
        for next in units {
            if number < 1024.0 {
                break;
            }
            (number, unit) = (number / 1024.0, next);
        }
        let digits = usize::from(number < 10.0 && unit != "B");
        write!(f, "{number:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_largest_unit_with_two_digits_or_more() {
        let shown = [0, 9, 1023, 1024, 10 << 10, 1_258_291, 3 << 40].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(shown, ["0 B", "9 B", "1023 B", "1.0 KiB", "10 KiB", "1.2 MiB", "3.0 TiB"]);
    }
}
