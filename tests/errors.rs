//! The text of an error is complete by itself, because programs log what `Display` gives, and
//! seldom its source.

use std::error::Error;
use std::io;

use splinter_bus::bus::{AcknowledgeError, SubscribeError};
use splinter_bus::frame::FrameError;
use splinter_bus::message::DecodeError;
use splinter_bus::store::{DirectoryError, GetError, KeyError, OpenError, SetError, UpdateError};
use splinter_bus::{PublishError, RecvError};

#[test]
fn the_text_of_an_error_contains_the_text_of_its_source() {
    let said = || io::Error::from_raw_os_error(libc::EIO);
    let (action, name, key) = ("open", "store".to_owned(), "key".to_owned());
    let errors: [Box<dyn Error>; 15] = [
        Box::new(OpenError::Io { action, name: name.clone(), source: said() }),
        Box::new(OpenError::PermissionDenied { action, name: name.clone(), source: said() }),
        Box::new(OpenError::Unsupported { action, name: name.clone(), source: said() }),
        Box::new(OpenError::NoMemory { name: name.clone(), needed: 1, limit: None, source: said() }),
        Box::new(OpenError::NoSpace { name, directory: "/".to_owned(), needed: 1, available: 2, source: Some(said()) }),
        Box::new(DirectoryError::Lock(said())),
        Box::new(SetError::Mapping { limit: None, source: said() }),
        Box::new(PublishError::Set(SetError::Mapping { limit: None, source: said() })),
        Box::new(RecvError::Frame { key: key.clone(), version: 1, source: FrameError::UnknownKind { found: 77 } }),
        Box::new(RecvError::Decode { key, version: 1, source: DecodeError::TrailingBytes { left: 3 } }),
        Box::new(RecvError::Get { key: String::new(), source: GetError::Overtaken }),
        Box::new(AcknowledgeError::Key { key: String::new(), source: KeyError::Removed }),
        Box::new(splinter_bus::Error::from(PublishError::from(SetError::Mapping { limit: None, source: said() }))),
        Box::new(DirectoryError::Flush(said())),
        Box::new(RecvError::Declare(SubscribeError::Directory(DirectoryError::Full { slots: 4 }))),
    ];
    for error in errors {
        let source = error.source().expect("an error with a source").to_string();
        assert!(error.to_string().contains(&source), "{error:?} is displayed as {error}");
    }
}

#[test]
fn a_cause_that_operations_share_is_one_nested_error_with_one_text() {
    fn removed() -> KeyError {
        KeyError::Removed
    }
    assert!(matches!(SetError::from(DirectoryError::from(removed())), SetError::Key(KeyError::Removed)));
    assert!(matches!(UpdateError::from(SetError::from(removed())), UpdateError::Key(KeyError::Removed)));
    assert!(matches!(UpdateError::from(GetError::from(removed())), UpdateError::Key(KeyError::Removed)));
    assert!(matches!(SubscribeError::from(DirectoryError::from(removed())), SubscribeError::Key(KeyError::Removed)));
    let publish = PublishError::from(DirectoryError::from(removed()));
    assert!(matches!(publish, PublishError::Set(SetError::Key(KeyError::Removed))));
    let text = removed().to_string();
    assert_eq!(publish.to_string(), text);
    assert_eq!(splinter_bus::Error::from(publish).to_string(), text);
}

#[test]
fn errors_of_frequent_operations_are_small() {
    assert!(size_of::<KeyError>() <= 24, "{}", size_of::<KeyError>());
    assert!(size_of::<GetError>() <= 24, "{}", size_of::<GetError>());
    assert!(size_of::<SetError>() <= 40, "{}", size_of::<SetError>());
    assert!(size_of::<PublishError>() <= 48, "{}", size_of::<PublishError>());
    assert!(size_of::<RecvError>() <= 80, "{}", size_of::<RecvError>());
}
