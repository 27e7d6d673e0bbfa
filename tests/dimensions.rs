//! The largest and the smallest stores and keys, and what happens if more is asked for than there
//! is. Stores take only the space that is used.

mod support;

use splinter_bus::store::{
    DimensionsError, DirectoryError, KeyOptions, Lookup, MAX_INLINE_SIZE, MAX_SLOTS, OpenError, SetError, ShapeError,
    Store, StoreOptions,
};
use support::Name;
use support::image::space_of;

/// The longest history of a key, and its largest spare.
const MOST: u32 = 4096;

fn shape_error(error: DirectoryError) -> ShapeError {
    match error {
        DirectoryError::Shape(error) => *error,
        error => panic!("{error}"),
    }
}

#[test]
fn a_store_with_the_most_slots_finds_its_keys() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(MAX_SLOTS).span(2 << 20));
    for number in 0..1000u32 {
        store.set(&format!("key {number}"), &[number as u8]).unwrap();
    }
    for number in 0..1000u32 {
        assert_eq!(store.get(&format!("key {number}")).unwrap(), Some(vec![number as u8]));
    }
    assert_eq!(store.keys().len(), 1000);
    assert_eq!(store.get("not there").unwrap(), None);
    assert!(store.unset("key 7").unwrap().is_some());
    // The rings have less room, and the spans are small. So keys are, too.
    let slot = store.slot("key 8").unwrap();
    assert_eq!(slot.max_len(), 65_536);
    slot.set(&[8; 65_536]).unwrap();
    assert_eq!(store.get("key 8").unwrap(), Some(vec![8; 65_536]));
    let error = store.slot_with("more cells than a ring has", &KeyOptions::new().history(MOST)).unwrap_err();
    let ShapeError::TooManyCells { cells: 4104, max } = shape_error(error) else { panic!() };
    // The ring has room for so many.
    assert_eq!(store.slot_with("the most cells", &KeyOptions::new().history(max - 8)).unwrap().shape().cells(), max);
    assert!(space_of(name.path()) < 64 << 20);
}

#[test]
fn the_longest_value_is_written_and_read() {
    /// The longest value of any key.
    const LONGEST: usize = 1 << 31;
    let stat = rustix::fs::statvfs("/dev/shm").unwrap();
    if stat.f_bavail * stat.f_frsize < 3 * LONGEST as u64 {
        println!("not run: /dev/shm has not enough free space for two of the longest values");
        return;
    }
    let name = Name::new();
    let options = StoreOptions::new().slots(1).span(16 << 30).key_options(KeyOptions::new().history(1).spare(1));
    let store = name.create(&options);
    assert_eq!(store.slot("key").unwrap().max_len(), LONGEST);
    let mut value = vec![0; LONGEST];
    value[0] = 1;
    *value.last_mut().unwrap() = 2;
    assert_eq!(store.set("key", &value).unwrap(), 1);
    let mut back = Vec::new();
    assert_eq!(store.get_into("key", &mut back).unwrap(), Some(1));
    assert!(back == value);
    value.push(0);
    let error = store.set("key", &value).unwrap_err();
    assert!(matches!(error, SetError::TooLarge { max: LONGEST, .. }), "{error}");
    assert!(store.append("key", b"x").is_err());
    store.set("key", b"short").unwrap();
    store.set("key", b"short").unwrap();
    assert_eq!(store.size("key").unwrap(), Some(5));
    let used = space_of(name.path());
    assert!(store.unset("key").unwrap().is_some());
    assert!(used > LONGEST as u64 && space_of(name.path()) < 1 << 20, "{used}, then {}", space_of(name.path()));
}

#[test]
fn the_longest_value_of_a_key_follows_from_its_cells() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    for (history, spare, least, most) in [
        (16, 8, 42 << 20, 43 << 20),
        (248, 8, 3 << 20, 4 << 20),
        (MOST, MOST, 65_536, 65_536),
        (1, 1, 511 << 20, 512 << 20),
    ] {
        let key = format!("{history}");
        let slot = store.slot_with(&key, &KeyOptions::new().history(history).spare(spare)).unwrap();
        let max = slot.max_len();
        assert!((least..=most).contains(&max), "{history} and {spare}: {max}");
        let error = slot.set(&vec![0; max + 1]).unwrap_err();
        let SetError::TooLarge { len, max: reported } = error else { panic!("{error}") };
        assert_eq!((len, reported), (max + 1, max));
        if max < 64 << 20 {
            slot.set(&vec![history as u8; max]).unwrap();
            assert!(store.get(&key).unwrap().unwrap().iter().all(|&byte| byte == history as u8));
        }
    }
}

#[test]
fn the_longest_history_keeps_all_its_versions() {
    let name = Name::new();
    let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(MOST).spare(MOST));
    let store = name.create(&options);
    let slot = store.slot("key").unwrap();
    let value_of = |version: u64| version.to_le_bytes().repeat(if version.is_multiple_of(10) { 200 } else { 1 });
    for version in 1..=10_000u64 {
        slot.set(&value_of(version)).unwrap();
    }
    let mut value = Vec::new();
    for version in 10_001 - u64::from(MOST)..=10_000 {
        assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()));
        assert_eq!(value, value_of(version));
    }
    assert_eq!(slot.cells().readable, u64::from(2 * MOST));
}

#[test]
fn the_smallest_store_works() {
    let name = Name::new();
    let options = StoreOptions::new().slots(1).inline_size(64).span(2 << 20);
    let store = name.create(&options.key_options(KeyOptions::new().history(1).spare(1)));
    // Inline, medium and large.
    let value_of = |version: u64| vec![version as u8; [1, 64, 65, 65_536, 65_537, 900_000][version as usize % 6]];
    for version in 1..=100 {
        assert_eq!(store.set("k", &value_of(version)).unwrap(), version);
        assert_eq!(store.get("k").unwrap(), Some(value_of(version)));
    }
    store.set("k", b"").unwrap();
    assert_eq!(store.get("k").unwrap(), Some(vec![]));
    assert!(matches!(store.set("other", b""), Err(SetError::Directory(DirectoryError::Full { slots: 1 }))));
    assert!(store.unset("k").unwrap().is_some());
    assert!(store.set("other", b"").unwrap() > 101);
}

#[test]
fn the_largest_inline_size_works() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().inline_size(MAX_INLINE_SIZE));
    for len in [0, 1, 65_536, 65_537, 1 << 20] {
        store.set("k", &vec![7; len]).unwrap();
        assert_eq!(store.get("k").unwrap(), Some(vec![7; len]));
    }
    let error = store.slot_with("long", &KeyOptions::new().history(MOST)).unwrap_err();
    assert!(matches!(shape_error(error), ShapeError::TooManyCells { .. }));
}

#[test]
fn cells_of_the_largest_keys_are_counted() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().key_options(KeyOptions::new().history(MOST).spare(1)));
    for number in 0..10 {
        store.set(&format!("k{number}"), b"v").unwrap();
    }
    assert_eq!(store.cells().total(), 10 * u64::from(MOST + 1));
    assert_eq!((store.cells().readable, store.cells().free), (10, 10 * u64::from(MOST)));
}

#[test]
fn errors_of_dimensions_have_the_numbers() {
    let name = Name::new();
    let error_of = |options: StoreOptions| match options.create(&name) {
        Err(OpenError::Dimensions(error)) => error,
        other => panic!("{other:?}"),
    };
    let new = StoreOptions::new;
    // The default span allows 7,936 slots, and no more.
    let error = error_of(new().slots(7937));
    let DimensionsError::TooManyAddresses { slots: 7937, max_slots: 7936, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("7936"), "{error}");
    for (options, text) in [
        (new().slots(0), "slots of 0 is out of range: it must be 1 to 524288"),
        (new().inline_size(0), "inline_size of 0 is out of range: it must be 64 to 65536"),
        (new().inline_size(1 << 30), "inline_size of 1073741824 is out of range"),
        (new().inline_size(1000), "inline_size of 1000 is not a multiple of 64: choose 960 or 1024"),
        (new().span(0), "span of 0 is out of range: it must be 2097152 to 68719476736"),
        (new().span((2 << 20) + 1), "span of 2097153 is not a multiple of 65536: choose 2097152 or 2162688"),
        (new().slots(MAX_SLOTS).span(2 << 20).inline_size(MAX_INLINE_SIZE), "524288 slots leave too little room"),
    ] {
        let error = error_of(options).to_string();
        assert!(error.starts_with(text), "{error}");
    }
    new().slots(7936).create(&name).unwrap();
}

#[test]
fn a_store_that_does_not_meet_the_options_is_refused_with_both_dimensions() {
    let name = Name::new();
    let made = StoreOptions::new().slots(100).inline_size(256).span(4 << 20);
    let store = name.create(&made);
    for options in [
        made.clone().slots(101),
        made.clone().inline_size(192),
        made.clone().inline_size(320),
        made.clone().span(6 << 20),
    ] {
        for result in [options.open(&name), options.open_or_create(&name), options.create_or_open(&name)] {
            let error = result.unwrap_err();
            let OpenError::OtherOptions { has, asked, .. } = &error else { panic!("{error}") };
            assert_eq!(*has, [100, 256, 4 << 20]);
            assert_eq!(asked.iter().flatten().count(), 3);
            let text = error.to_string();
            // Of what was asked for, only what the store has not.
            let other = asked.iter().zip(has).filter(|(asked, has)| **asked != Some(**has));
            let words = other.filter_map(|(asked, _)| *asked).chain(*has).map(|number| number.to_string());
            assert!(words.clone().all(|number| text.contains(&number)), "{text}");
            assert_eq!(text.matches(" bytes").count() + text.matches(" slots").count(), 4, "{text}");
        }
    }
    // Options that ask for less, or for nothing, are met. So are those of other handles.
    for options in
        [made.clone(), made.slots(1).span(2 << 20), StoreOptions::new(), StoreOptions::new().inline_size(256)]
    {
        for result in [options.open(&name), options.open_or_create(&name), options.create_or_open(&name)] {
            assert_eq!(result.unwrap().dimensions(), store.dimensions());
        }
    }
}

#[test]
fn a_caller_that_asks_for_more_than_the_key_has_gets_both_shapes() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(4));
    let first = store.slot_with("k", &KeyOptions::new().history(20).spare(5).lossless(10)).unwrap();
    let shape = first.shape();
    assert_eq!((shape.history, shape.spare, shape.lossless), (20, 5, 10));
    first.set(b"v").unwrap();
    for (options, text) in [
        (KeyOptions::new().history(21), "history 21, it has 20"),
        (KeyOptions::new().spare(6), "spare 6, it has 5"),
        (KeyOptions::new().lossless(11), "lossless 11, it has 10"),
        (
            KeyOptions::new().history(21).spare(5).lossless(1024),
            "history 21, it has 20; spare 5, it has 5; lossless 1024, it has 10",
        ),
    ] {
        let error = store.slot_with("k", &options).unwrap_err();
        assert!(error.to_string().contains(text) && error.to_string().contains("\"k\""), "{error}");
        assert!(matches!(shape_error(error), ShapeError::Smaller { has: [20, 5, 10], .. }));
    }
    for options in
        [KeyOptions::new(), KeyOptions::new().history(1), KeyOptions::new().history(20).spare(5).lossless(10)]
    {
        assert_eq!(store.slot_with("k", &options).unwrap().shape(), shape);
    }
    // A default of a handle asks for nothing.
    let other = StoreOptions::new().key_options(KeyOptions::new().history(1000)).open(&name).unwrap();
    assert_eq!(other.slot("k").unwrap().shape(), shape);
    assert_eq!(other.slot("new").unwrap().shape().history, 1000);
    // The options of a key end with it.
    assert!(store.unset("k").unwrap().is_some());
    assert_eq!(Store::open(&name).unwrap().slot("k").unwrap().shape().cells(), 24);
}

#[test]
fn a_slot_whose_values_are_pinned_takes_no_key_of_another_shape_and_the_error_says_why() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(1));
    // One slot, and as many as the system can have.
    let mut pinned = Vec::new();
    for history in 1..=1 + 256 {
        let slot = store.slot_with("key", &KeyOptions::new().history(history).spare(3)).unwrap();
        slot.set(b"value").unwrap();
        pinned.push(slot.pin().unwrap());
        store.unset("key").unwrap();
    }
    let other = KeyOptions::new().history(300).spare(3);
    let error = store.slot_with("other", &other).unwrap_err();
    assert!(matches!(error, DirectoryError::Held { held: 257, slots: 1 }), "{error}");
    assert!(error.to_string().contains("pinned or on loan"), "{error}");
    // A key of the same shape takes the slot.
    store.slot_with("same", &KeyOptions::new().history(2).spare(3)).unwrap();
    store.unset("same").unwrap();
    drop(pinned);
    store.slot_with("other", &other).unwrap();
    let error = store.slot_with("third", &other).unwrap_err();
    assert!(matches!(error, DirectoryError::Full { slots: 1 }), "{error}");
}
