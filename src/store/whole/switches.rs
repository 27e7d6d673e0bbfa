//! The switches of a store.

use crate::core::memory::records::Switches;
use crate::store::flags::Flags;
use crate::store::store::Store;
use crate::sync::Ordering;

impl Store {
    /// All switches, read at one moment.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.switches().flags.load(Ordering::SeqCst))
    }

    /// Whether all of these switches are on at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Flags, Store};
    /// # let name = format!("splinter-doc-has-flags-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set_flags(Flags::USR2);
    /// assert!(store.has_flags(Flags::USR2));
    /// assert!(!store.has_flags(Flags::USR2 | Flags::USR3));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_flags(&self, flags: Flags) -> bool {
        self.flags().contains(flags)
    }

    /// Turns switches on, atomically. The others, and bits that have no name, stay unchanged.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    pub fn set_flags(&self, flags: Flags) {
        self.switches().flags.fetch_or((flags & Flags::all()).bits(), Ordering::SeqCst);
    }

    /// Turns switches off, atomically. The others, and bits that have no name, stay unchanged.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    pub fn clear_flags(&self, flags: Flags) {
        self.switches().flags.fetch_and(!(flags & Flags::all()).bits(), Ordering::SeqCst);
    }

    /// Whether older values are zeroed as they are overwritten and removed.
    ///
    /// # Examples
    ///
    /// See [`set_auto_vacuum`](Self::set_auto_vacuum).
    #[must_use]
    pub fn auto_vacuum(&self) -> bool {
        self.has_flags(Flags::AUTO_VACUUM)
    }

    /// Sets whether all participants zero older values as they are overwritten and removed, from
    /// now on.
    ///
    /// Bytes that were left while it was off are zeroed when their cell is used next, or at once by
    /// [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-auto-vacuum-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(store.auto_vacuum());
    /// store.set_auto_vacuum(false);
    /// assert!(!Store::open(&name)?.auto_vacuum());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_auto_vacuum(&self, on: bool) {
        if on {
            self.set_flags(Flags::AUTO_VACUUM);
        } else {
            self.clear_flags(Flags::AUTO_VACUUM);
        }
    }

    fn switches(&self) -> &Switches {
        &self.mapped().header().switches
    }
}
