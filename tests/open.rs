//! Creating, opening and removing stores: names, free space, permissions, and files that are not
//! stores.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use splinter_bus::store::{
    DirectoryError, KeyError, KeyOptions, Location, MAX_INLINE_SIZE, MAX_SLOTS, OpenError, SetError, Store,
    StoreOptions,
};
use support::image::space_of;
use support::{Actor, Name};

fn small() -> StoreOptions {
    StoreOptions::new().slots(4)
}

#[test]
fn actor() {
    let Some((role, _)) = support::role() else { return };
    assert_eq!(role, "create without space");
    create_without_space();
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
        assert_eq!(store.dimensions(), first.dimensions());
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
fn impossible_dimensions_are_refused() {
    let name = Name::new();
    for options in [
        small().slots(0),
        small().slots(MAX_SLOTS + 1),
        small().slots(u32::MAX),
        small().inline_size(0),
        small().inline_size(100),
        small().inline_size(MAX_INLINE_SIZE + 64),
        small().inline_size(1 << 30),
        small().inline_size(u32::MAX),
        small().span(0),
        small().span((1 << 30) + 4096),
        small().span(u64::MAX),
        small().slots(10_000),
        small().slots(MAX_SLOTS).span(2 << 20).inline_size(MAX_INLINE_SIZE),
    ] {
        for result in [options.create(&name), options.open_or_create(&name), options.create_or_open(&name)] {
            assert!(matches!(result, Err(OpenError::Dimensions(_))), "{options:?}: {result:?}");
        }
    }
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })), "a file was left behind");
}

#[test]
fn impossible_shapes_of_keys_are_refused_and_take_no_slot() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(1).span(2 << 20));
    for options in [
        KeyOptions::new().history(0),
        KeyOptions::new().history(4097),
        KeyOptions::new().history(u32::MAX),
        KeyOptions::new().spare(0),
        KeyOptions::new().spare(4097),
        KeyOptions::new().spare(u32::MAX),
        KeyOptions::new().lossless(0),
        KeyOptions::new().lossless(1025),
        KeyOptions::new().lossless(u32::MAX),
        // 31 cells do not fit into 2 MiB.
        KeyOptions::new().history(30).spare(1),
    ] {
        let error = store.slot_with("key", &options).unwrap_err();
        assert!(matches!(error, DirectoryError::Shape(_)), "{options:?}: {error}");
        // The same options as a default of a handle.
        let handle = StoreOptions::new().key_options(options).open(&name).unwrap();
        assert!(matches!(handle.slot("key"), Err(DirectoryError::Shape(_))), "{options:?}");
        let error = handle.set("key", b"v").unwrap_err();
        assert!(matches!(error, SetError::Directory(DirectoryError::Shape(_))), "{options:?}: {error}");
    }
    assert_eq!(store.snapshot().keys, 0);
    let slot = store.slot_with("key", &KeyOptions::new().history(29).spare(1)).unwrap();
    assert_eq!((slot.shape().cells(), slot.max_len()), (30, 65_536));
}

#[test]
fn too_little_space_is_reported_in_bytes_and_no_file_is_left_behind() {
    // A file system of the actor's own, smaller than what is reserved when a store is created.
    Actor::run_on_mount("-t tmpfs -o size=32k none /dev/shm", "create without space", &[]);
}

fn create_without_space() {
    // The index of the most slots takes 16 MiB; that of few slots is not the reason either.
    for options in
        [StoreOptions::new(), StoreOptions::new().slots(1), StoreOptions::new().slots(MAX_SLOTS).span(2 << 20)]
    {
        for result in [options.create("store"), options.open_or_create("store"), options.create_or_open("store")] {
            let error = result.unwrap_err();
            let OpenError::NoSpace { needed, available, .. } = error else { panic!("{error}") };
            assert!(needed > 16 << 10 && available > 0, "{needed} {available}");
            let text = error.to_string();
            assert!(text.contains(&needed.to_string()) && text.contains(&available.to_string()), "{text}");
            assert!(matches!(Store::open("store"), Err(OpenError::NotFound { .. })));
            assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0, "a file was left behind");
        }
    }
}

#[test]
fn a_new_store_takes_little_space_and_the_mode_is_set() {
    let (private, shared) = (Name::new(), Name::new());
    let _private = private.create(&small());
    let _shared = shared.create(&small().mode(0o664));
    let metadata = fs::metadata(private.path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(metadata.len() < 1 << 20, "{} bytes", metadata.len());
    // Header, participants, message types and index are reserved. Slots are not, before they are used.
    assert!((25_088..64 << 10).contains(&space_of(private.path())), "{} bytes", space_of(private.path()));
    let default = Name::new();
    let store = default.create(&StoreOptions::new());
    let empty = space_of(default.path());
    assert!((82_432..96 << 10).contains(&empty), "{empty} bytes");
    for number in 0..24 {
        store.set("one key of small messages", &[number]).unwrap();
    }
    let one_key = space_of(default.path()) - empty;
    assert!((24 * 1088..36 << 10).contains(&one_key), "{one_key} bytes");
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
    refused("a header without dimensions", &header(0x5242_000A), "its dimensions are impossible");
}

#[test]
fn a_store_with_a_wrong_length_or_header_is_damaged() {
    let (name, copy) = (Name::new(), Name::new());
    // Created by its path, so that it can be copied.
    drop(small().create(name.path()).unwrap());
    let good = fs::read(name.path()).unwrap();
    assert!(good.len() < 1 << 20);
    let refused = |what: &str, bytes: &[u8]| {
        fs::write(copy.path(), bytes).unwrap();
        let error = Store::open(&copy).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
    };
    fs::write(copy.path(), &good).unwrap();
    Store::open(copy.path()).unwrap();
    // A file grows when it is used. So there may be more bytes, but not fewer.
    fs::write(copy.path(), [&good[..], &[0]].concat()).unwrap();
    Store::open(copy.path()).unwrap();
    refused("the slots are missing", &good[..good.len() / 2]);
    refused("one byte is missing", &good[..good.len() - 1]);
    for (what, at, value) in [
        ("slots", 8, 5),
        ("more slots than the file has", 8, 5000),
        ("slots of the system", 12, 17),
        ("feature bits", 16, 2),
        ("no multiple of 64", 20, 1000),
        ("span", 24, 1 << 30 | 1),
        ("the other half of the span", 28, 1 << 20),
        ("where values begin", 32, 0),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(value));
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
    let store = name.create(&small().span(2 << 20));
    assert!(matches!(store.set("", b"v"), Err(SetError::Key(KeyError::Empty))));
    assert!(matches!(store.set(&"k".repeat(64), b"v"), Err(SetError::Key(KeyError::TooLong { len: 64, max: 63 }))));
    assert!(matches!(store.set("a\0b", b"v"), Err(SetError::Key(KeyError::Nul { position: 1 }))));
    let error = store.set("k", &[0; 65_537]).unwrap_err();
    assert!(matches!(error, SetError::TooLarge { len: 65_537, max: 65_536 }), "{error}");
    assert_eq!(store.get(&"k".repeat(64)).unwrap_err().to_string(), "key too long: 64 bytes, maximum 63");
    // None of these refused calls took a slot.
    assert_eq!(store.keys(), Vec::<String>::new());
    for number in 0..3 {
        store.set(&format!("{number}"), b"").unwrap();
    }
    store.set(&"k".repeat(63), &[7; 65_536]).unwrap();
    assert!(matches!(store.set("five", b""), Err(SetError::Directory(DirectoryError::Full { slots: 4 }))));
    assert_eq!(store.get("0").unwrap().as_deref(), Some(&b""[..]), "an empty value is a value");
}
