//! What makes a file a store: its first bytes, which are checked before anything is mapped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::core::memory::records::Identity;
use crate::store::error::OpenError;
use crate::store::geometry::Geometry;
use crate::store::location::Location;
use crate::sync::{AtomicU64, Ordering};

/// "SLNT".
pub(crate) const MAGIC: u32 = 0x534C_4E54;

/// The version of the layout: "RB", 5. It changes whenever a program that knows this one would
/// misread a store.
pub(crate) const LAYOUT: u32 = 0x5242_0006;

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
        history: half(12).into(),
        spare: half(16).into(),
        features: half(20).into(),
        max_value_size: AtomicU64::new(word(24)),
        total_len: AtomicU64::new(word(32)),
        id: AtomicU64::new(word(40)),
        created: AtomicU64::new(word(48)),
        lossless: half(56).into(),
    }))
}

/// What is fixed when a store is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) geometry: Geometry,
    /// Whether cells carry checksums.
    pub(crate) checksums: bool,
}

/// The shape of a store, if the file is one of this version and complete.
pub(crate) fn check(location: &Location, identity: Option<&Identity>, len: u64) -> Result<Shape, OpenError> {
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
    let geometry = Geometry {
        slots: identity.slots.load(Ordering::Relaxed),
        max_value_size: identity.max_value_size.load(Ordering::Relaxed),
        history: identity.history.load(Ordering::Relaxed),
        spare: identity.spare.load(Ordering::Relaxed),
        lossless: identity.lossless.load(Ordering::Relaxed),
    };
    let damaged = |reason: String| OpenError::Damaged { name: name(), reason };
    let layout = geometry.layout().map_err(|error| damaged(format!("its geometry is impossible: {error}")))?;
    let total_len = identity.total_len.load(Ordering::Relaxed);
    if layout.total_len as u64 != total_len || total_len != len {
        let needed = layout.total_len;
        return Err(damaged(format!(
            "its geometry needs {needed} bytes, its header says {total_len}, and it has {len}"
        )));
    }
    let features = identity.features.load(Ordering::Relaxed);
    if features & !CHECKSUMS != 0 {
        return Err(damaged(format!("it has feature bits ({features:#x}) that this version does not know")));
    }
    let checksums = features & CHECKSUMS != 0;
    if checksums && geometry != geometry.in_a_file() {
        return Err(damaged(format!("it has {} cells for a key, fewer than any store in a file", geometry.cells())));
    }
    Ok(Shape { geometry, checksums })
}
