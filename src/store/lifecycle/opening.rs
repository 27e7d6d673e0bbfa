//! What creating and opening a store have in common.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::refused::{mapping_refused, refused};
use crate::core::memory::records::PARTICIPANTS;
use crate::os::file::{self, Links};
use crate::os::fork::UninheritedFile;
use crate::os::mapping::Mapping;
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::mapped::{Mapped, Memory, StoreShape};
use crate::store::participant::join::Joined;
use crate::store::recovery::Recovery;
use crate::store::session::Session;

/// How many times an operation starts again because another process created or removed the name
/// meanwhile.
pub(crate) const ATTEMPTS: usize = 64;

/// Maps a store, except for its extents.
pub(crate) fn map(
    location: &Location,
    shape: StoreShape,
    file: File,
    locks: UninheritedFile,
) -> Result<Arc<Mapped>, OpenError> {
    let len = shape.layout.extents;
    let mapping = Mapping::window(&file, 0, len as usize).map_err(mapping_refused("map", location, len))?;
    let memory = Memory::new(mapping, shape.dimensions.all_slots()).map_err(mapping_refused("map", location, len))?;
    let mapped = Mapped::new(shape, memory, file, locks).ok_or_else(|| OpenError::Damaged {
        name: location.to_string(),
        reason: format!("its mapping is shorter than its {len} bytes"),
    })?;
    Ok(Arc::new(mapped))
}

/// Makes a session of a mapping, if we have become a participant.
pub(crate) fn into_session(
    location: &Location,
    mapped: Arc<Mapped>,
    joined: io::Result<Joined>,
    recovery: Option<Recovery>,
) -> Result<Session, OpenError> {
    let name = || location.to_string();
    match joined.map_err(refused("lock", location))? {
        Joined::As(me) => Ok(Session::new(mapped, me, recovery)),
        Joined::Full => Err(OpenError::TooManyParticipants { name: name(), max: PARTICIPANTS }),
        Joined::LockedOut => Err(OpenError::LockedOut { name: name() }),
    }
}

/// Opens a store's file a second time, for its locks; `None` if another file has its name by now.
///
/// By name, because `/proc`, which could open it by its descriptor, is not available everywhere.
pub(crate) fn open_locks(
    location: &Location,
    path: &Path,
    file: &File,
    links: Links,
) -> Result<Option<UninheritedFile>, OpenError> {
    let locks = match UninheritedFile::open(|| file::open(path, links)) {
        Err(error) if is_another(&error) => return Ok(None),
        locks => locks.map_err(refused("open", location))?,
    };
    let same = file::is_same(file, locks.fd()).map_err(refused("examine", location))?;
    Ok(same.then_some(locks))
}

/// Whether a file could not be opened because its name is gone, or is that of something else.
fn is_another(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::OPNOTSUPP))
}
