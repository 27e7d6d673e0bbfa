//! What makes a file a store: its first bytes, which are checked before anything is mapped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::core::memory::records::Identity;
use crate::store::dimensions::{Dimensions, SYSTEM_SLOTS};
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::mapped::StoreShape;
use crate::sync::{AtomicU64, Ordering};

/// "SLNT".
pub(crate) const MAGIC: u32 = 0x534C_4E54;

/// The version of the layout: "RB", 10. It changes whenever a program that knows this one would
/// misread a store.
pub(crate) const LAYOUT: u32 = 0x5242_000A;

/// Layout numbers below this are those of the C library, which counts from 1.
const FIRST_OWN_LAYOUT: u32 = 0x1_0000;

/// The feature bit of stores whose cells carry checksums.
pub(crate) const CHECKSUMS: u32 = 1;

/// The first bytes of the file, read without a mapping; `None` if the file is shorter.
pub(crate) fn read(file: &File, len: u64) -> io::Result<Option<Identity>> {
    if len < size_of::<Identity>() as u64 {
        return Ok(None);
    }
    let mut bytes = [0; size_of::<Identity>()];
    file.read_exact_at(&mut bytes, 0)?;
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let half = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    Ok(Some(Identity {
        magic: half(0).into(),
        layout: half(4).into(),
        slots: half(8).into(),
        system_slots: half(12).into(),
        features: half(16).into(),
        inline_size: half(20).into(),
        span: AtomicU64::new(word(24)),
        extents: AtomicU64::new(word(32)),
        id: AtomicU64::new(word(40)),
        created: AtomicU64::new(word(48)),
        dense_cells: half(56).into(),
    }))
}

/// The shape of a store, if the file is one of this version and complete.
pub(crate) fn check(location: &Location, identity: Option<&Identity>, len: u64) -> Result<StoreShape, OpenError> {
    let name = || location.to_string();
    let Some(identity) = identity else {
        let reason = format!("it has {len} bytes, fewer than a store's header");
        return Err(OpenError::NotAStore { name: name(), reason });
    };
    let magic = identity.magic.load(Ordering::Relaxed);
    if magic == MAGIC.swap_bytes() {
        let reason = "it was made on a machine with the other order of bytes".to_owned();
        return Err(OpenError::NotAStore { name: name(), reason });
    }
    if magic != MAGIC {
        let reason = format!("it begins with {magic:#010x} instead of {MAGIC:#010x}");
        return Err(OpenError::NotAStore { name: name(), reason });
    }
    match identity.layout.load(Ordering::Relaxed) {
        LAYOUT => {}
        layout if layout < FIRST_OWN_LAYOUT => {
            return Err(OpenError::CLibrary { name: name(), layout });
        }
        layout => {
            return Err(OpenError::OtherLayout { name: name(), layout, supported: LAYOUT });
        }
    }
    let dimensions = Dimensions {
        slots: identity.slots.load(Ordering::Relaxed),
        inline_size: identity.inline_size.load(Ordering::Relaxed),
        span: identity.span.load(Ordering::Relaxed),
        dense_cells: identity.dense_cells.load(Ordering::Relaxed),
    };
    let damaged = |reason: String| OpenError::Damaged { name: name(), reason };
    let layout = dimensions.layout().map_err(|error| damaged(format!("its dimensions are impossible: {error}")))?;
    let system_slots = identity.system_slots.load(Ordering::Relaxed);
    if system_slots != SYSTEM_SLOTS {
        return Err(damaged(format!("it has {system_slots} slots of the system instead of {SYSTEM_SLOTS}")));
    }
    let extents = identity.extents.load(Ordering::Relaxed);
    if layout.extents != extents {
        let needed = layout.extents;
        return Err(damaged(format!(
            "by its dimensions, values begin at byte {needed}; its header says byte {extents}"
        )));
    }
    if len < layout.fixed_len() {
        let needed = layout.fixed_len();
        return Err(damaged(format!("it has {len} bytes, and needs {needed} at least: it was truncated")));
    }
    let features = identity.features.load(Ordering::Relaxed);
    if features & !CHECKSUMS != 0 {
        return Err(damaged(format!("it has feature bits ({features:#x}) that this version does not know")));
    }
    Ok(StoreShape { dimensions, layout, checksums: features & CHECKSUMS != 0 })
}
