//! Whether anything in a store has changed.

use crate::core::index::Indexed;
use crate::core::word::Head;
use crate::store::store::Store;
use crate::sync::Ordering;

impl Store {
    /// A number that grows whenever a value is set or a key is removed: if two calls give the same,
    /// nothing has changed in between. Never blocks.
    ///
    /// It grows by one for each value, and sometimes by more. It is computed by this call, not counted
    /// in the store, where all publishers would have to share the counter. So it costs one cache line
    /// for each key that exists or existed: 1 us for a thousand keys of which few change, and some tens
    /// of nanoseconds for each that another core has changed since. To wait for a change, or to learn which key it was, use [`watch`](Self::watch).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-changes-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let before = store.changes();
    /// assert_eq!(store.changes(), before);
    /// store.set("k", b"v")?;
    /// assert!(store.changes() > before);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn changes(&self) -> u64 {
        let mapped = self.mapped();
        // Versions of slots never decrease. Acquire: a thread that sees a change sees the value.
        // Pairs with the release of `head` in `move_head`.
        let version = |slot| Head::from_bits(mapped.slot_header(slot).head.load(Ordering::Acquire)).version();
        (0..mapped.used_slots()).map(version).fold(0, u64::wrapping_add)
    }
}
