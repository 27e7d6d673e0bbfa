//! The file of a store that is not complete yet.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::os::fork::UninheritedFile;
use crate::os::{file, lock};
use crate::store::location::DRAFT_PREFIX;
use crate::store::mapped::LockByte;

/// The file of a store that is not complete yet. Removed on drop, unless the store has got its own name by then.
pub(crate) struct Draft(pub(crate) PathBuf);

impl Draft {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self(directory.join(format!("{DRAFT_PREFIX}{}", Uuid::now_v7().simple())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there: it was never made, or has its own name. Anything else is left to the next sweep.
        let _ = file::unlink(&self.0);
    }
}

/// Removes the drafts of creators that died. What cannot be examined is somebody else's, and left alone.
pub(crate) fn sweep_drafts(directory: &Path) {
    for path in file::with_prefix(directory, DRAFT_PREFIX).unwrap_or_default() {
        let Ok(file) = UninheritedFile::open(|| file::open(&path, file::Links::Refuse)) else {
            continue;
        };
        let ours = file::status(file.fd()).is_ok_and(|status| status.is_regular);
        if ours && lock::try_lock(file.fd(), LockByte::Draft.offset()).unwrap_or(false) {
            let _ = file::unlink(&path);
        }
    }
}
