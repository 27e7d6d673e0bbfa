//! The participants of a store.

use std::io;

use crate::store::participant::{self, Participant};
use crate::store::store::Store;

impl Store {
    /// The participant that this process is: the same for all its handles on the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-participant-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.participant().pid, std::process::id());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn participant(&self) -> Participant {
        self.session.me
    }

    /// All participants that have the store open now: one for each process, however many handles it
    /// has.
    ///
    /// # Errors
    ///
    /// The kernel's reason, when the locks could not be examined. In a child of the process that
    /// opened the store: [`Forked`](crate::store::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-participants-{}", std::process::id());
    /// let (store, other) = (Store::create(&name)?, Store::open(&name)?);
    /// assert_eq!(other.participant(), store.participant());
    /// assert_eq!(store.participants()?, [store.participant()]);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn participants(&self) -> io::Result<Vec<Participant>> {
        self.session.check_fork()?;
        participant::living(self.mapped(), self.session.me)
    }

    /// Whether a participant still has the store open. The kernel knows at once when it has ended,
    /// for any reason.
    ///
    /// A stopped process is alive.
    ///
    /// # Errors
    ///
    /// The kernel's reason, when the lock could not be examined. In a child of the process that
    /// opened the store: [`Forked`](crate::store::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-is-alive-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let participant = store.participant();
    /// assert!(store.is_alive(participant)?);
    /// drop(store);
    /// assert!(!Store::open(&name)?.is_alive(participant)?);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self, participant: Participant) -> io::Result<bool> {
        self.session.check_fork()?;
        participant::is_alive(self.mapped(), participant, self.session.me)
    }
}
