//! Creating, opening and removing stores: names, free space, permissions, and files that are not
//! stores.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use splinter_bus::store::{DirectoryError, KeyError, Location, OpenError, SetError, Store, StoreOptions};
use support::Name;

fn small() -> StoreOptions {
    StoreOptions::new().slots(4).max_value_size(64)
}

#[test]
fn open_create_and_their_combinations_return_the_store_or_the_documented_error() {
    let name = Name::new();
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })));
    let first = small().open_or_create(&name).unwrap();
    first.set("k", b"v").unwrap();
    assert!(matches!(small().create(&name), Err(OpenError::AlreadyExists { .. })));
    for store in [Store::open(&name), small().open_or_create(&name), small().create_or_open(&name)] {
        let store = store.unwrap();
        assert_eq!(store.get("k").unwrap().as_deref(), Some(&b"v"[..]));
        assert_eq!(store.geometry(), first.geometry());
    }
    drop(first);
    assert_eq!(
        Store::open(&name).unwrap().get("k").unwrap().as_deref(),
        Some(&b"v"[..]),
        "a store outlives its creator"
    );
    Store::remove(&name).unwrap();
    assert!(matches!(Store::remove(&name), Err(OpenError::NotFound { .. })));
}

#[test]
fn a_removed_store_stays_usable_for_processes_that_have_it_open() {
    let name = Name::new();
    let old = name.create(&small());
    old.set("k", b"old").unwrap();
    Store::remove(&name).unwrap();
    let new = name.create(&small());
    assert_eq!(new.get("k").unwrap(), None);
    assert_eq!(old.get("k").unwrap().as_deref(), Some(&b"old"[..]));
}

#[test]
fn concurrent_creators_and_openers_share_one_store() {
    for _ in 0..20 {
        let name = Name::new();
        let stores: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|number| {
                    let name = &name;
                    let open = move || {
                        if number % 2 == 0 { small().open_or_create(name) } else { small().create_or_open(name) }
                    };
                    scope.spawn(open)
                })
                .collect();
            openers.into_iter().map(|opener| opener.join().unwrap().unwrap()).collect()
        });
        for (number, store) in stores.iter().enumerate() {
            assert_eq!(store.set("k", b"v").unwrap(), number as u64 + 1);
        }
        assert_eq!(stores[0].participants().unwrap(), [stores[0].participant()], "one process is two participants");
    }
}

#[test]
fn invalid_names_are_refused() {
    let long = "n".repeat(256);
    let drafts = ".splinter-draft-x";
    for name in ["", "/", "nul\0", "/tmp/nul\0", ".", "..", "./..", "/tmp/..", &long, drafts] {
        for result in [Store::create(name), Store::open(name), Store::open_or_create(name)] {
            assert!(matches!(result, Err(OpenError::Name { .. })), "{name:?}");
        }
        assert!(matches!(Store::remove(name), Err(OpenError::Name { .. })), "{name:?}");
    }
    for location in
        [Location::Memory("a/b".to_owned()), Location::File("".into()), Location::File(format!("/tmp/{long}").into())]
    {
        assert!(matches!(Store::create(&location), Err(OpenError::Name { .. })), "{location:?}");
    }
    let error = Store::create(Location::Memory("dir/store".to_owned())).unwrap_err().to_string();
    assert!(error.contains("'/'"), "{error}");
    let error = Store::create("/nowhere/store").unwrap_err().to_string();
    assert!(error.contains("the directory \"/nowhere\", which does not exist"), "{error}");
}

#[test]
fn impossible_geometry_is_refused() {
    let name = Name::new();
    for options in [
        small().slots(0),
        small().slots(u32::MAX),
        small().max_value_size(0),
        small().max_value_size(u64::MAX),
        small().history(0),
        small().history(4097),
        small().spare(0),
        StoreOptions::new().slots(1 << 24).max_value_size(1 << 30).history(4096).spare(4096),
    ] {
        assert!(matches!(options.create(&name), Err(OpenError::Geometry(_))), "{options:?}");
    }
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })), "a file was left behind");
}

#[test]
fn too_little_space_is_reported_in_bytes_and_no_file_is_left_behind() {
    let name = Name::new();
    let error = StoreOptions::new().slots(1 << 20).max_value_size(1 << 20).create(&name).unwrap_err();
    let OpenError::NoSpace { needed, available, .. } = error else { panic!("{error}") };
    assert!(needed > 1 << 40 && available < needed && available > 0, "{needed} {available}");
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })));
    let drafts = fs::read_dir("/dev/shm").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let large = entry.metadata().is_ok_and(|metadata| metadata.len() == needed);
        (large && entry.file_name().to_string_lossy().starts_with(".splinter-draft-")).then_some(())
    });
    assert_eq!(drafts.count(), 0);
}

#[test]
fn the_space_is_reserved_and_the_mode_is_set() {
    use std::os::unix::fs::MetadataExt;
    let (private, shared) = (Name::new(), Name::new());
    let _private = private.create(&small());
    let _shared = shared.create(&small().mode(0o664));
    let metadata = fs::metadata(private.path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(metadata.blocks() * 512 >= metadata.len(), "{} blocks for {} bytes", metadata.blocks(), metadata.len());
    assert_eq!(fs::metadata(shared.path()).unwrap().permissions().mode() & 0o777, 0o664);
}

#[test]
fn files_that_are_not_stores_are_refused_and_not_changed() {
    let name = Name::new();
    let refused = |what: &str, bytes: &[u8], words: &str| {
        fs::write(name.path(), bytes).unwrap();
        let error = Store::open(&name).unwrap_err().to_string();
        assert!(error.contains(words), "{what}: {error}");
        assert!(small().open_or_create(&name).is_err(), "{what}");
        assert!(matches!(small().create(&name), Err(OpenError::AlreadyExists { .. })), "{what}");
        assert_eq!(fs::read(name.path()).unwrap(), bytes, "{what} was changed");
    };
    refused("an empty file", b"", "has 0 bytes");
    refused("a short file", b"hello", "has 5 bytes");
    refused("a text", &b"# a file of somebody's notes\n".repeat(100), "begins with 0x");
    refused("zeros", &[0; 8192], "begins with 0x00000000");
    assert!(matches!(Store::remove(&name), Err(OpenError::NotAStore { .. })), "a file that is not a store was removed");

    let header = |layout: u32| {
        let mut bytes = vec![0; 8192];
        bytes[..4].copy_from_slice(&0x534C_4E54_u32.to_le_bytes());
        bytes[4..8].copy_from_slice(&layout.to_le_bytes());
        bytes
    };
    refused("a store of the C library", &header(2), "the C library libsplinter (layout 2)");
    refused("a store of another version", &header(0x5242_0004), "another version of splinter-bus (layout 0x52420004");
    refused("a header without geometry", &header(0x5242_0006), "its geometry is impossible");
}

#[test]
fn a_store_with_a_wrong_length_or_header_is_damaged() {
    let (name, copy) = (Name::new(), Name::new());
    // Created by its path, so that it can be copied.
    drop(small().create(name.path()).unwrap());
    let good = fs::read(name.path()).unwrap();
    let refused = |what: &str, bytes: &[u8]| {
        fs::write(copy.path(), bytes).unwrap();
        let error = Store::open(&copy).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
    };
    fs::write(copy.path(), &good).unwrap();
    Store::open(&copy).unwrap();
    refused("the cells are missing", &good[..good.len() / 2]);
    refused("one byte is missing", &good[..good.len() - 1]);
    refused("a byte too many", &[&good[..], &[0]].concat());
    for (what, at, value) in
        [("slots", 8, 5), ("history", 12, 17), ("spare", 16, 0), ("feature bits", 20, 2), ("value size", 24, u32::MAX)]
    {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        refused(what, &bytes);
    }
}

#[test]
fn links_and_directories_are_not_stores() {
    let (store, link, directory) = (Name::new(), Name::new(), Name::new());
    drop(store.create(&small()));
    symlink(store.path(), link.path()).unwrap();
    assert!(matches!(Store::open(&link), Err(OpenError::NotAStore { .. })));
    assert!(matches!(small().create(&link), Err(OpenError::AlreadyExists { .. })));
    fs::create_dir(directory.path()).unwrap();
    assert!(matches!(Store::open(&directory), Err(OpenError::NotAStore { .. })));
    fs::remove_dir(directory.path()).unwrap();
}

#[test]
fn the_next_creator_removes_the_draft_of_a_crashed_one() {
    let draft = format!(".splinter-draft-test-{}", std::process::id());
    let path = format!("/dev/shm/{draft}");
    fs::write(&path, b"half a store").unwrap();
    let name = Name::new();
    let _store = name.create(&small());
    assert!(!fs::exists(&path).unwrap());
}

#[test]
fn a_store_accepts_254_participants_and_refuses_the_next() {
    let name = Name::new();
    let mut stores = vec![name.create(&small())];
    for _ in 1..254 {
        stores.push(Store::open_unshared(&name).unwrap());
    }
    assert!(matches!(Store::open_unshared(&name), Err(OpenError::TooManyParticipants { .. })));
    assert_eq!(stores[0].participants().unwrap().len(), 254);
    // All of them publish.
    for (number, store) in stores.iter().enumerate() {
        assert_eq!(store.set("k", b"v").unwrap(), number as u64 + 1);
    }
    let gone = stores.pop().unwrap().participant();
    assert!(!stores[0].is_alive(gone).unwrap());
    stores.push(Store::open_unshared(&name).unwrap());
    let newcomer = stores.last().unwrap().participant();
    assert_eq!((newcomer.id, newcomer == gone), (gone.id, false));
}

#[test]
fn invalid_keys_and_values_are_refused() {
    let name = Name::new();
    let store = name.create(&small());
    assert!(matches!(store.set("", b"v"), Err(SetError::Key(KeyError::Empty))));
    assert!(matches!(store.set(&"k".repeat(64), b"v"), Err(SetError::Key(KeyError::TooLong { len: 64, max: 63 }))));
    assert!(matches!(store.set("a\0b", b"v"), Err(SetError::Key(KeyError::Nul { position: 1 }))));
    let error = store.set("k", &[0; 65]).unwrap_err();
    assert!(matches!(error, SetError::TooLarge { len: 65, max: 64 }), "{error}");
    assert_eq!(store.get(&"k".repeat(64)).unwrap_err().to_string(), "key too long: 64 bytes, maximum 63");
    // None of these refused calls took a slot.
    for number in 0..3 {
        store.set(&format!("{number}"), b"").unwrap();
    }
    store.set(&"k".repeat(63), &[7; 64]).unwrap();
    assert!(matches!(store.set("five", b""), Err(SetError::Directory(DirectoryError::Full { slots: 4 }))));
    assert_eq!(store.get("0").unwrap().as_deref(), Some(&b""[..]), "an empty value is a value");
}
