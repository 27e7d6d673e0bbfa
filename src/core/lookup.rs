//! What a look-up of one version of a key gives.

/// What became of one version of a key, and what was found where it is kept.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{Lookup, Store};
/// # let name = format!("splinter-doc-lookup-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let (slot, mut value) = (store.slot("k")?, Vec::new());
/// assert_eq!(slot.get_version_into(1, &mut value)?, Lookup::NotYet);
/// slot.set(b"v")?;
/// assert_eq!(slot.get_version_into(1, &mut value)?, Lookup::Found(()));
/// store.purge()?;
/// slot.set(b"w")?;
/// store.purge()?;
/// assert_eq!(slot.get_version_into(1, &mut value)?, Lookup::Gone);
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It is there.
    Found(T),
    /// It was not published yet.
    NotYet,
    /// It was overwritten or purged, or it never belonged to this key.
    Gone,
}
