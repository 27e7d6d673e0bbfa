//! Stores that are shared with a group, and private ones. The tests run processes of several users,
//! which only root can do.

mod support;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use splinter_bus::store::{OpenError, Store, StoreOptions};
use support::{Actor, Name};

const OWNER: u32 = 61_001;
const COLLEAGUE: u32 = 61_002;
const STRANGER: u32 = 61_003;
const GROUP: u32 = 62_000;
const OTHERS: u32 = 62_001;

fn options() -> StoreOptions {
    StoreOptions::new().slots(4)
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let location = arguments[0].as_str();
    match role.as_str() {
        "create private" => drop(options().create(location).unwrap().set("key", b"private").unwrap()),
        "create shared" => {
            // The mode does not depend on the umask.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            options().mode(0o660).create(location).unwrap().set("key", b"shared").unwrap();
        }
        "work together" => {
            let store = Store::open(location).unwrap();
            assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"shared"[..]));
            store.set("key", b"changed").unwrap();
            store.set("new", b"v").unwrap();
            assert!(store.unset("new").unwrap().is_some());
        }
        "see the change" => {
            assert_eq!(Store::open(location).unwrap().get("key").unwrap().as_deref(), Some(&b"changed"[..]));
        }
        "be refused" => {
            let error = Store::open(location).unwrap_err();
            assert!(matches!(error, OpenError::PermissionDenied { .. }), "{error}");
            assert!(error.to_string().starts_with("no permission to open"), "{error}");
            assert!(options().open_or_create(location).is_err());
            let error = Store::remove(location).unwrap_err();
            assert!(matches!(error, OpenError::PermissionDenied { .. }), "{error}");
        }
        _ => panic!("no such role: {role}"),
    }
}

/// A directory where other users may run this binary and create files. `None` if this process
/// cannot become other users.
struct SharedDirectory {
    directory: tempfile::TempDir,
    binary: PathBuf,
    /// A child that another test spawns while the binary is being copied has the copy open for
    /// writing. Then the copy cannot be executed.
    _one_at_a_time: MutexGuard<'static, ()>,
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl SharedDirectory {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("not run: only root can run processes of other users");
            return None;
        }
        let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        // As in /tmp: all users may create files, and none may remove another's.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let binary = directory.path().join("test");
        fs::copy(env::current_exe().unwrap(), &binary).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { directory, binary, _one_at_a_time: one_at_a_time })
    }

    fn act(&self, user: u32, group: u32, role: &str, location: &str) {
        let mut command = Command::new(&self.binary);
        // Switching to another user drops the groups of root as well.
        command.uid(user).gid(group).current_dir("/");
        Actor::spawn_by(command, role, &[location]).finish();
    }
}

#[test]
fn a_store_is_private_to_its_owner_by_default() {
    let Some(shared) = SharedDirectory::new() else { return };
    let name = Name::new();
    let path = shared.directory.path().join("private");
    for location in [&*name, path.to_str().unwrap()] {
        shared.act(OWNER, GROUP, "create private", location);
        shared.act(COLLEAGUE, GROUP, "be refused", location);
        shared.act(STRANGER, OTHERS, "be refused", location);
    }
}

#[test]
fn a_group_shares_a_store_and_others_are_refused() {
    let Some(shared) = SharedDirectory::new() else { return };
    let name = Name::new();
    let path = shared.directory.path().join("shared");
    for location in [&*name, path.to_str().unwrap()] {
        shared.act(OWNER, GROUP, "create shared", location);
        shared.act(COLLEAGUE, GROUP, "work together", location);
        shared.act(OWNER, GROUP, "see the change", location);
        shared.act(STRANGER, OTHERS, "be refused", location);
    }
}
