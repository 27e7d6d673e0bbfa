//! Reading messages of other types: those of an older or newer version of a program.
//!
//! A frame carries the fingerprint of its type. If that is the receiver's own, the message is decoded as it
//! is, which costs nothing. If not, the store has the type of its sender
//! ([`stored_types`](crate::bus::stored_types)), and the message is read by that schema, field by field by
//! name, if the receiver's type allows it ([`MessageType::compatible_with`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bus::error::{SubscribeError, TypeMismatch};
use crate::bus::shared::Shared;
use crate::bus::stored_types::StoredTypeError;
use crate::frame::Frame;
use crate::message::MessageType;
use crate::schema::{Compatibility, Table};
use crate::store::{GetError, Store};

/// How many types are remembered. A store has no more at a time.
const MAX_REMEMBERED: usize = 256;

/// Which messages a receiver reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bus) enum Reads {
    /// Those of its own type, and of each type that is compatible.
    Compatible,
    /// Those of its own type only.
    Exact,
}

/// The types of other senders that a receiver has met, by their fingerprints.
#[derive(Debug, Default)]
pub(in crate::bus) struct SenderTypes {
    known: Mutex<HashMap<u64, SenderType>>,
}

/// The type of a sender.
#[derive(Debug, Clone)]
struct SenderType {
    message_type: Arc<MessageType>,
    /// Why messages of the type cannot be read, if so.
    refused: Option<Arc<str>>,
}

/// Why messages of a type cannot be read.
pub(in crate::bus) struct Unreadable {
    /// The type, if the store knows it.
    pub(in crate::bus) found: Option<Arc<MessageType>>,
    pub(in crate::bus) reason: String,
}

impl Shared {
    /// The error about messages of another type.
    pub(in crate::bus) fn mismatch(&self, found: String, is_known: bool, reason: String) -> Box<TypeMismatch> {
        Box::new(TypeMismatch { expected: type_text(&self.message_type), found, is_known, reason })
    }

    /// The schema by which messages of another fingerprint are read.
    #[cold]
    pub(in crate::bus) fn schema_of_sender(
        &self,
        store: &Store,
        fingerprint: u64,
        reads: Reads,
    ) -> Result<Arc<Table>, Box<Unreadable>> {
        let unknown = |reason: String| Box::new(Unreadable { found: None, reason });
        let SenderType { message_type, refused } = match self.sender_type(store, fingerprint) {
            Ok(Some(sender)) => sender,
            Ok(None) => {
                let reason = "its schema is not in the store: its publisher could not leave it there, or has not run on \
                              this store";
                return Err(unknown(reason.to_owned()));
            }
            Err(error) => return Err(unknown(error.to_string())),
        };
        let reason = match refused {
            _ if reads == Reads::Exact => "the subscriber reads its own type only (SubscribeOptions::exact)".to_owned(),
            Some(reason) => reason.to_string(),
            None => return Ok(Arc::clone(message_type.shared_schema())),
        };
        Err(Box::new(Unreadable { found: Some(message_type), reason }))
    }

    fn sender_type(&self, store: &Store, fingerprint: u64) -> Result<Option<SenderType>, StoredTypeError> {
        let known = || self.sender_types.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = known().get(&fingerprint) {
            return Ok(Some(sender.clone()));
        }
        let Some(message_type) = store.message_type(fingerprint)? else {
            return Ok(None);
        };
        let refused = match message_type.compatible_with(&self.message_type) {
            Compatibility::No(difference) => Some(difference.to_string()),
            Compatibility::Yes | Compatibility::Partly(_) if self.reads == Reads::Exact => {
                Some("the receiver's type implements `Message` by hand, so it reads its own messages only".to_owned())
            }
            Compatibility::Yes | Compatibility::Partly(_) => None,
        };
        let sender = SenderType { message_type: Arc::new(message_type), refused: refused.map(Into::into) };
        let mut known = known();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(fingerprint, sender.clone());
        Ok(Some(sender))
    }
}

/// Checks that the newest message of a key, which a subscriber or a worker may meet, can be read, if it is of a
/// type that the store knows. What it does not know is reported when it is received. `start` is the start of
/// its frame.
pub(super) fn check_newest(
    store: &Store,
    shared: &Shared,
    key: &str,
    start: Result<Vec<u8>, GetError>,
    reads: Reads,
) -> Result<(), SubscribeError> {
    let start = match start {
        Err(GetError::Key(error)) => return Err(error.into()),
        // What cannot be read now is reported when it is received.
        start => start.unwrap_or_default(),
    };
    let Some(fingerprint) = Frame::fingerprint_of(&start) else {
        return Ok(());
    };
    if fingerprint == shared.message_type.fingerprint() || fingerprint == shared.fault_fingerprint {
        return Ok(());
    }
    let Err(unreadable) = shared.schema_of_sender(store, fingerprint, reads) else {
        return Ok(());
    };
    let Unreadable { found, reason } = *unreadable;
    if found.is_none() {
        return Ok(());
    }
    let source = shared.mismatch(found_text(found.as_deref(), fingerprint), true, reason);
    Err(SubscribeError::OtherType { key: key.to_owned(), source })
}

/// A type for an error: its name, fingerprint and schema.
fn type_text(message_type: &MessageType) -> String {
    format!("{message_type}, schema {}", message_type.description())
}

/// As [`type_text`], of a type that the store may not know.
pub(super) fn found_text(found: Option<&MessageType>, fingerprint: u64) -> String {
    match found {
        Some(found) => type_text(found),
        None => format!("a type unknown to this store (fingerprint {fingerprint:016x})"),
    }
}
