//! Keys of the system: what the layers above keep in the store for themselves.
//!
//! The text of such a key begins with a NUL byte, which no key of a user has. So they share slots, index and
//! recovery with those of users, and no operation of a user finds them. There are 256 at most, which no
//! number of keys of users takes away.

use crate::core::index::{self, SlotRef};
use crate::core::key::Key;
use crate::store::directory::WaitLimit;
use crate::store::error::{DirectoryError, GetError, KeyError};
use crate::store::key_options::KeyOptions;
use crate::store::slot::{Pinned, Slot};
use crate::store::store::Store;

impl Store {
    /// The slot of a key of the system. If there is none, it is created with these options.
    pub(crate) fn system_slot(
        &self,
        key: &str,
        options: &KeyOptions,
        limit: &mut WaitLimit,
    ) -> Result<Slot, DirectoryError> {
        Ok(self.slot_at(self.find_or_insert(&system_key(key)?, options, limit)?))
    }

    /// Pins the newest value of a key of the system; `None` if there is no such key, or it has no value that can
    /// be pinned.
    ///
    /// While the pin exists, no process removes the key by
    /// [`unset_system_unpinned`](Self::unset_system_unpinned).
    pub(crate) fn pin_system(&self, key: &str, limit: &mut WaitLimit) -> Result<Option<Pinned>, DirectoryError> {
        self.check_fork()?;
        let key = system_key(key)?;
        // The same lock as for removing it.
        let _directory = self.session.directory(limit)?;
        let found = index::find(self.mapped(), &key);
        Ok(found.and_then(|slot_ref| Pinned::newest(&self.session, slot_ref).ok()?))
    }

    /// Copies the newest value of a key of the system; `None` if there is no such key, or it has no value. Never
    /// blocks. [`GetError::TooShort`]: it has more than `max` bytes.
    pub(crate) fn get_system(&self, key: &str, max: usize) -> Result<Option<Vec<u8>>, GetError> {
        let Some(slot) = self.existing_slot_of(&system_key(key)?)? else {
            return Ok(None);
        };
        let mut value = vec![0; slot.size()?.unwrap_or(0).min(max)];
        loop {
            match slot.get_to_slice(&mut value) {
                // It was replaced.
                Err(GetError::TooShort { needed, .. }) if needed <= max => value.resize(needed, 0),
                copied => {
                    return Ok(copied?.map(|(_, len)| {
                        value.truncate(len);
                        value
                    }));
                }
            }
        }
    }

    /// The keys of the system that begin like this, in no order. Never blocks.
    pub(crate) fn system_keys(&self, prefix: &str) -> Vec<String> {
        let mapped = self.mapped();
        let keys = (0..mapped.used_slots()).filter_map(|slot| index::stored_key_of(mapped, slot)?.text_of_system());
        keys.filter(|key| key.starts_with(prefix)).collect()
    }

    /// Removes those of these keys of the system that no process pins, and that `choose` leaves in the list.
    /// While `choose` runs, no process pins one that is in it. Returns how many were removed.
    pub(crate) fn unset_system_unpinned(
        &self,
        mut keys: Vec<String>,
        limit: &mut WaitLimit,
        choose: impl FnOnce(&mut Vec<String>),
    ) -> Result<usize, DirectoryError> {
        self.check_fork()?;
        // Pinning takes the same lock.
        let directory = self.session.directory(limit)?;
        keys.retain(|key| {
            let found = Key::of_system(key).and_then(|key| index::find(self.mapped(), &key));
            found.is_some_and(|slot_ref| !self.is_pinned(slot_ref))
        });
        if !keys.is_empty() {
            choose(&mut keys);
        }
        Ok(keys.iter().filter_map(|key| directory.remove(&Key::of_system(key)?)).count())
    }

    /// Whether a process that is alive pins a value of the key.
    fn is_pinned(&self, slot_ref: SlotRef) -> bool {
        self.session.on_key(slot_ref, |ring| {
            let is_pinned = || ring.count_cells().pinned > 0;
            is_pinned() && {
                ring.reap_holders();
                is_pinned()
            }
        })
    }
}

fn system_key(text: &str) -> Result<Key<'_>, KeyError> {
    Key::of_system(text).ok_or(KeyError::Damaged)
}
