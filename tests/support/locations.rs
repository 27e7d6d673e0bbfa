//! The two kinds of locations of a store.

use std::fs;

use splinter_bus::store::StoreOptions;
use tempfile::TempDir;

use super::{Actor, Name};

/// A name of a segment of shared memory, and the path of a file in a temporary directory.
pub struct Locations {
    name: Name,
    directory: TempDir,
}

impl Locations {
    pub fn new() -> Self {
        Self { name: Name::new(), directory: tempfile::tempdir().expect("a directory") }
    }

    /// Returns the name, then the path.
    pub fn all(&self) -> [String; 2] {
        let path = self.directory.path().join("store");
        [self.name.to_string(), path.to_str().expect("a path of letters").to_owned()]
    }

    /// Creates a store at both locations.
    pub fn create(&self, options: &StoreOptions) {
        for location in self.all() {
            drop(options.create(location).expect("a new store"));
        }
    }

    /// Runs an actor with a role at both locations. It may leave stores behind, but no drafts.
    pub fn run(&self, role: &str) {
        Actor::spawn(role, &self.all().each_ref().map(|location| &**location)).finish();
        for entry in fs::read_dir(&self.directory).expect("our directory") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name of letters");
            assert!(!name.starts_with(".splinter-draft"), "{name} was left behind");
        }
    }
}
