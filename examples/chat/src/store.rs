//! The store of the chat: how it is created, and the keys and liveness of its participants.

use splinter_bus::store::{DirectoryError, KeyOptions, OpenError, Participant, Store, StoreOptions};

use crate::messages::{Address, answer_key, worker_key};

/// The versions that are kept of each key. One complete answer fits, so a slow client loses
/// nothing.
pub(crate) const HISTORY: u32 = 96;

/// Opens the store. It takes space for what is in it, and nothing else.
pub(crate) fn open_or_create(name: &str) -> Result<Store, OpenError> {
    StoreOptions::new().key_options(KeyOptions::new().history(HISTORY)).open_or_create(name)
}

/// The keys of this participant, which are removed on drop.
///
/// After a crash, the next participant with the same index removes them.
pub(crate) struct OwnKeys<'a> {
    store: &'a Store,
    me: Address,
}

impl<'a> OwnKeys<'a> {
    pub(crate) fn new(store: &'a Store) -> Result<Self, DirectoryError> {
        let keys = Self { store, me: store.participant().into() };
        keys.remove()?;
        Ok(keys)
    }

    fn remove(&self) -> Result<(), DirectoryError> {
        self.store.unset(&answer_key(self.me))?;
        self.store.unset(&worker_key(self.me))?;
        Ok(())
    }
}

impl Drop for OwnKeys<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("chat: cannot remove the keys of this process: {error}");
        }
    }
}

/// Returns the participant with this address if it is still alive.
pub(crate) fn find_participant(store: &Store, address: Address) -> std::io::Result<Option<Participant>> {
    Ok(store.participants()?.into_iter().find(|participant| address.matches(participant)))
}
