//! The file of a store that is not complete yet.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::os::fork::UninheritedFile;
use crate::os::{file, lock};
use crate::store::location::DRAFT_PREFIX;
use crate::store::mapped::LockByte;

/// A draft. Its name is removed on drop, if it still has it.
pub(crate) struct Draft(pub(crate) PathBuf);

impl Draft {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self(directory.join(format!("{DRAFT_PREFIX}{}", Uuid::now_v7().simple())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // An error means that the draft was never made or has its own name. Otherwise the next
        // creator removes it.
        let _ = file::unlink(&self.0);
    }
}

/// Removes the drafts of creators that crashed: their locks are free. A file that cannot be
/// examined is left alone.
pub(crate) fn remove_abandoned_drafts(directory: &Path) {
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
