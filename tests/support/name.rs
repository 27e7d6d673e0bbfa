//! Names of stores in memory.

#![allow(dead_code, unreachable_pub, reason = "a module of several test binaries, each of which uses a part of it")]

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use splinter_bus::store::{Location, Store, StoreOptions};

/// The name of a store that only one test uses. Dropping it removes the store, if it exists.
pub struct Name(String);

impl Name {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("splinter-test-{}-{number}", std::process::id()))
    }

    pub fn create(&self, options: &StoreOptions) -> Store {
        options.create(self).expect("a new store")
    }

    /// The path of the segment, for tests that change its bytes directly.
    pub fn path(&self) -> String {
        format!("/dev/shm/{}", self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&Name> for Location {
    fn from(name: &Name) -> Self {
        Self::from(&**name)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        match std::fs::remove_file(self.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => eprintln!("{}: {error}", self.path()),
            _ => {}
        }
    }
}
