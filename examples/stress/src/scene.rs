//! Removes the store and the journals, however this program ends.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use splinter_bus::Store;

use crate::arena::Arena;
use crate::role::own_role;

/// Removes everything on drop. If this process is killed, a janitor process does it instead.
pub(crate) struct Scene<'a> {
    arena: &'a Arena,
    janitor: Option<Child>,
}

impl<'a> Scene<'a> {
    /// Takes over the cleanup of the store, which exists already.
    pub(crate) fn new(arena: &'a Arena) -> Result<Self, Box<dyn Error>> {
        let mut scene = Self { arena, janitor: None };
        let mut command: Command = own_role("janitor", arena, 0)?;
        // In its own process group, so that Ctrl-C does not end it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        scene.janitor = Some(command.spawn()?);
        Ok(scene)
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        remove(self.arena);
        if let Some(janitor) = &mut self.janitor {
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

/// The janitor process: waits for the end of the parent, and removes what it has left.
pub(crate) fn keep_clean(arena: &Arena) {
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    remove(arena);
}

fn remove(arena: &Arena) {
    // Errors are ignored, because the other process may have removed it already.
    let _ = Store::remove(&arena.location);
    let _ = fs::remove_dir_all(&arena.directory);
}
