//! Rebuilding the directory from the slots.

use crate::core::index::{self, Indexed, has_key};
use crate::core::key::StoredKey;
use crate::store::mapped::Mapped;
use crate::sync::Ordering;

/// Rebuilds index, list of free slots and counts from the first `used` slots. The caller holds the
/// lock.
pub(crate) fn rebuild(mapped: &Mapped, used: u32) {
    let (mut of_users, mut of_system, mut free) = (0, 0, 0);
    for slot in (0..used).rev() {
        let header = mapped.slot_header(slot);
        if has_key(header.generation.load(Ordering::Relaxed)) {
            let count = if StoredKey::load(&header.key).is_of_system() { &mut of_system } else { &mut of_users };
            *count += 1;
        } else {
            header.next_free.store(free, Ordering::Relaxed);
            free = slot + 1;
        }
    }
    let directory = mapped.directory_header();
    directory.free_list.store(free, Ordering::Relaxed);
    directory.used_slots.store(used, Ordering::Relaxed);
    directory.key_count.store(of_users, Ordering::Relaxed);
    directory.system_key_count.store(of_system, Ordering::Relaxed);
    directory.tombstones.store(0, Ordering::Relaxed);
    index::rebuild(mapped, used);
}
