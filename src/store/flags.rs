//! The switches of a store.

use bitflags::bitflags;

bitflags! {
    /// Switches of a store, seen and changed by all its participants at once.
    ///
    /// Bits 0 to 15 belong to the system, bits 16 to 31 to users, who give them their meaning.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{Flags, Store};
    ///
    /// # let name = format!("splinter-doc-flags-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.flags(), Flags::AUTO_VACUUM);
    /// store.set_flags(Flags::USR1 | Flags::USR16);
    /// assert!(store.has_flags(Flags::USR1));
    /// store.clear_flags(Flags::USR1);
    /// assert_eq!(store.flags(), Flags::AUTO_VACUUM | Flags::USR16);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u32 {
        /// Older values are zeroed as they are overwritten.
        const AUTO_VACUUM = 1;
        /// For users.
        const USR1 = 1 << 16;
        /// For users.
        const USR2 = 1 << 17;
        /// For users.
        const USR3 = 1 << 18;
        /// For users.
        const USR4 = 1 << 19;
        /// For users.
        const USR5 = 1 << 20;
        /// For users.
        const USR6 = 1 << 21;
        /// For users.
        const USR7 = 1 << 22;
        /// For users.
        const USR8 = 1 << 23;
        /// For users.
        const USR9 = 1 << 24;
        /// For users.
        const USR10 = 1 << 25;
        /// For users.
        const USR11 = 1 << 26;
        /// For users.
        const USR12 = 1 << 27;
        /// For users.
        const USR13 = 1 << 28;
        /// For users.
        const USR14 = 1 << 29;
        /// For users.
        const USR15 = 1 << 30;
        /// For users.
        const USR16 = 1 << 31;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_the_upper_half_and_the_system_the_lower() {
        let users = Flags::all() - Flags::AUTO_VACUUM;
        assert_eq!(users.bits(), 0xffff_0000);
        assert_eq!(Flags::USR1.bits(), 1 << 16);
        assert_eq!(Flags::USR16.bits(), 1 << 31);
    }
}
