//! The store of the chat: its shape, and coming and going.

use splinter_bus::store::{OpenError, Participant, Store, StoreOptions, UnsetError};

use crate::messages::{Address, answer_key, worker_key};

/// Answers are kept this long for a client that is slow: one answer always fits.
pub(crate) const HISTORY: u32 = 96;

/// Room for a hundred clients and workers; 60 MB in all. Prompts of more than 3,900 bytes go in parts.
pub(crate) fn open_or_create(name: &str) -> Result<Store, OpenError> {
    StoreOptions::new().slots(136).max_value_size(4096).history(HISTORY).open_or_create(name)
}

/// The keys of one participant. Removed when it goes; if it was killed, by the next one to have its place.
pub(crate) struct OwnKeys<'a> {
    store: &'a Store,
    me: Address,
}

impl<'a> OwnKeys<'a> {
    pub(crate) fn new(store: &'a Store) -> Result<Self, UnsetError> {
        let keys = Self { store, me: store.participant().into() };
        keys.remove()?;
        Ok(keys)
    }

    fn remove(&self) -> Result<(), UnsetError> {
        self.store.unset(&answer_key(self.me))?;
        self.store.unset(&worker_key(self.me))?;
        Ok(())
    }
}

impl Drop for OwnKeys<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("chat: cannot tidy up: {error}");
        }
    }
}

/// The one who is meant by an address, while it has the store open.
pub(crate) fn living(store: &Store, address: Address) -> std::io::Result<Option<Participant>> {
    Ok(store.participants()?.into_iter().find(|participant| address.is_of(participant)))
}
