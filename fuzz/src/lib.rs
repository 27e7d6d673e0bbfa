//! Functions and types that the fuzz targets share.

use std::fs;

use arbitrary::Arbitrary;
use splinter_bus::frame::{self, Encoding, FrameError, Kind, Outgoing};
use splinter_bus::store::{Store, StoreOptions};
use uuid::Uuid;

/// A frame: every field of an envelope, and a payload.
#[derive(Debug, Arbitrary)]
pub struct Envelope<'a> {
    kind: u8,
    encoding: u8,
    fingerprint: u64,
    id: u128,
    ts: u64,
    sent_boot: u32,
    ttl: Option<u32>,
    seq: u32,
    eof: bool,
    attempt: u8,
    checksum: bool,
    pub from: &'a str,
    pub to: &'a str,
    pub trace: &'a str,
    pub reply_to: &'a str,
    pub payload: &'a [u8],
}

impl Envelope<'_> {
    pub fn outgoing(&self) -> Outgoing<'_> {
        let kinds = [Kind::Query, Kind::Response, Kind::Event, Kind::Error, Kind::Heartbeat];
        let encodings = [Encoding::Raw, Encoding::Postcard, Encoding::Zerocopy, Encoding::Bytemuck, Encoding::Json];
        Outgoing {
            kind: kinds[usize::from(self.kind) % kinds.len()],
            encoding: encodings[usize::from(self.encoding) % encodings.len()],
            fingerprint: self.fingerprint,
            id: Uuid::from_u128(self.id),
            ts: self.ts,
            sent_boot: self.sent_boot,
            ttl: self.ttl,
            seq: self.seq,
            eof: self.eof,
            attempt: self.attempt,
            checksum: self.checksum,
            payload_align: 1 << (self.seq % 7),
            from: self.from,
            to: self.to,
            trace: self.trace,
            reply_to: self.reply_to,
        }
    }
}

/// The path of this process's store. No other process uses it, and what an earlier process left
/// there is removed.
pub fn store_path() -> String {
    let path = format!("/dev/shm/splinter-fuzz-{}", std::process::id());
    let _ = fs::remove_file(&path);
    path
}

/// Creates a store whose file has no name. Nothing is left of it, however the process ends.
pub fn anonymous(options: &StoreOptions) -> Store {
    let path = store_path();
    let store = options.create(&path[..]).expect("a new store");
    fs::remove_file(path).expect("the store's file");
    store
}

/// Writes the whole frame. Returns `None` if it cannot be written.
pub fn written(outgoing: &Outgoing<'_>, payload: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let append = |frame: &mut Vec<u8>| -> Result<(), FrameError> {
        frame.extend_from_slice(payload);
        Ok(())
    };
    frame::write(&mut bytes, outgoing, append).ok()?;
    Some(bytes)
}
