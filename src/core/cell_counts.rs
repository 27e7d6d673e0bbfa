//! How the cells of a slot or a store are used.

use std::iter::Sum;
use std::ops::Add;

/// The cells of a slot, or of a store, counted by their use at one moment.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{Store, KeyOptions, StoreOptions};
/// # let name = format!("splinter-doc-cells-{}", std::process::id());
/// let store = StoreOptions::new().key_options(KeyOptions::new().history(3).spare(2)).create(&name)?;
/// let slot = store.slot("k")?;
/// slot.set(b"v")?;
/// assert_eq!((slot.cells().readable, slot.cells().free), (1, 4));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CellCounts {
    /// Cells that hold a value that can be read.
    pub readable: u64,
    /// Cells that hold no value.
    pub free: u64,
    /// Cells that a writer is filling, or was filling when it crashed or stopped, and cells on
    /// loan.
    pub in_flight: u64,
    /// Cells that a participant has pinned. They are counted as readable, too.
    pub pinned: u64,
    /// Cells whose value a lossless subscriber has not received, or a worker has not finished. They
    /// are counted as readable, too.
    pub retained: u64,
    /// Cells whose value is kept for a [flush](crate::Store::flush), in a file. They are counted as
    /// readable, too.
    pub flushed: u64,
}

impl CellCounts {
    /// The number of cells: each is readable, free, or in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, KeyOptions, StoreOptions};
    /// # let name = format!("splinter-doc-cells-total-{}", std::process::id());
    /// let store = StoreOptions::new().slots(2).key_options(KeyOptions::new().history(3).spare(2)).create(&name)?;
    /// assert_eq!(store.slot("k")?.cells().total(), 5);
    /// assert_eq!(store.cells().total(), 5);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn total(&self) -> u64 {
        self.readable + self.free + self.in_flight
    }
}

impl Add for CellCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            readable: self.readable + other.readable,
            free: self.free + other.free,
            in_flight: self.in_flight + other.in_flight,
            pinned: self.pinned + other.pinned,
            retained: self.retained + other.retained,
            flushed: self.flushed + other.flushed,
        }
    }
}

impl Sum for CellCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}
