//! An error says by itself what is wrong: programs log what `Display` gives, and seldom its source.

use std::error::Error;
use std::io;

use splinter_bus::bus::SubscribeError;
use splinter_bus::frame::FrameError;
use splinter_bus::message::DecodeError;
use splinter_bus::store::{DirectoryError, LoanError, OpenError};
use splinter_bus::{PublishError, RecvError};

#[test]
fn the_text_of_an_error_has_in_it_what_the_operating_system_or_the_layer_below_said() {
    let said = || io::Error::from_raw_os_error(libc::EIO);
    let (action, name, key) = ("open", "store".to_owned(), "key".to_owned());
    let errors: [Box<dyn Error>; 11] = [
        Box::new(OpenError::Io { action, name: name.clone(), source: said() }),
        Box::new(OpenError::PermissionDenied { action, name: name.clone(), source: said() }),
        Box::new(OpenError::Unsupported { action, name: name.clone(), source: said() }),
        Box::new(OpenError::NoMemory { name: name.clone(), needed: 1, limit: None, source: said() }),
        Box::new(OpenError::NoSpace { name, directory: "/".to_owned(), needed: 1, available: 2, source: Some(said()) }),
        Box::new(DirectoryError::Io(said())),
        Box::new(LoanError::Mapping(said())),
        Box::new(PublishError::Mapping(said())),
        Box::new(RecvError::Frame { key: key.clone(), version: 1, source: FrameError::UnknownKind { found: 77 } }),
        Box::new(RecvError::Decode { key, version: 1, source: DecodeError::TrailingBytes { left: 3 } }),
        Box::new(RecvError::Declare(SubscribeError::Full { slots: 4 })),
    ];
    for error in errors {
        let source = error.source().expect("an error with a source").to_string();
        assert!(error.to_string().contains(&source), "{error:?} is displayed as {error}");
    }
}
