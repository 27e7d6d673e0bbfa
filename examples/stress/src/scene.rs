//! Leaving nothing behind: neither store nor journals, however this program ends.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use splinter_bus::Store;

use crate::arena::Arena;
use crate::supervisor::own_role;

/// What is to be removed: by this guard, or if this process is killed, by another one that waits for that.
pub(crate) struct Scene<'a> {
    arena: &'a Arena,
    janitor: Option<Child>,
}

impl<'a> Scene<'a> {
    /// The store is there; it is ours from now on.
    pub(crate) fn new(arena: &'a Arena) -> Result<Self, Box<dyn Error>> {
        let mut scene = Self { arena, janitor: None };
        let mut command: Command = own_role("janitor", arena, 0)?;
        // Not in our group: what is typed to end us is not for it.
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

/// Waits for the end of the parent, and removes what it has not.
pub(crate) fn keep_clean(arena: &Arena) {
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    remove(arena);
}

fn remove(arena: &Arena) {
    // Whoever comes second finds nothing.
    let _ = Store::remove(&arena.location);
    let _ = fs::remove_dir_all(&arena.directory);
}
