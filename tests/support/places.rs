//! Both kinds of places that a store can be in.

use std::fs;

use splinter_bus::store::StoreOptions;
use tempfile::TempDir;

use super::{Actor, Name};

/// A name for a segment of shared memory, and the path of a file in a directory of its own.
pub struct Places {
    name: Name,
    directory: TempDir,
}

impl Places {
    pub fn new() -> Self {
        Self { name: Name::new(), directory: tempfile::tempdir().expect("a directory") }
    }

    /// The name, then the path.
    pub fn all(&self) -> [String; 2] {
        let path = self.directory.path().join("store");
        [self.name.to_string(), path.to_str().expect("a path of letters").to_owned()]
    }

    /// Makes a store in both.
    pub fn create(&self, options: &StoreOptions) {
        for place in self.all() {
            drop(options.create(place).expect("a new store"));
        }
    }

    /// Has an actor play a role in both, to its end. It may leave stores behind, but nothing that is half made.
    pub fn run(&self, role: &str) {
        Actor::spawn(role, &self.all().each_ref().map(|place| &**place)).finish();
        for entry in fs::read_dir(&self.directory).expect("our directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name of letters");
            assert!(!name.starts_with(".splinter-draft"), "{name} was left behind");
        }
    }
}
