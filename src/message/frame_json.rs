//! The JSON form of a frame.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::message_type::MessageType;
use crate::frame::{Frame, Kind};
use crate::schema::{ReadError, ReadReason};

/// A frame as one object of JSON: the fields of the envelope, and the message as `payload`. Fields that are
/// not set are left out.
#[derive(Serialize)]
pub(crate) struct FrameJson<'a, P> {
    id: String,
    ts: String,
    from: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
    to: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reply_to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace: &'a str,
    seq: u32,
    eof: bool,
    #[serde(skip_serializing_if = "is_first")]
    attempt: u8,
}

fn is_first(attempt: &u8) -> bool {
    *attempt <= 1
}

/// The fields of an envelope, by their names in a frame.
pub(crate) struct EnvelopeFields<'a> {
    pub(crate) id: Uuid,
    /// In nanoseconds since the Unix epoch.
    pub(crate) ts: u64,
    pub(crate) from: &'a str,
    pub(crate) kind: Kind,
    pub(crate) to: &'a str,
    pub(crate) reply_to: &'a str,
    pub(crate) ttl_ms: Option<u32>,
    pub(crate) trace: &'a str,
    pub(crate) seq: u32,
    pub(crate) eof: bool,
    pub(crate) attempt: u8,
}

impl<'a, P> FrameJson<'a, P> {
    pub(crate) fn new(envelope: &EnvelopeFields<'a>, payload: P) -> Self {
        let EnvelopeFields { id, ts, from, kind, to, reply_to, ttl_ms, trace, seq, eof, attempt } = *envelope;
        Self {
            id: id.hyphenated().to_string(),
            ts: humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(ts)).to_string(),
            from,
            kind: kind.name(),
            // A heartbeat has no payload.
            payload: (kind != Kind::Heartbeat).then_some(payload),
            to,
            reply_to,
            ttl_ms,
            trace,
            seq,
            eof,
            attempt,
        }
    }
}

impl MessageType {
    /// Writes a frame with a message of the type as one line of JSON: the fields of its envelope, and the
    /// message as `payload`, in the form of [`to_json`](Self::to_json).
    ///
    /// # Errors
    ///
    /// [`ReadError`]: the frame has a message of another type, or the payload is not such a message, or exceeds a
    /// limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::frame::Frame;
    /// use splinter_bus::{Bus, Message};
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// #[message(kind = "query")]
    /// struct Prompt { text: String }
    ///
    /// # let name = format!("splinter-doc-frame-to-json-{}", std::process::id());
    /// let bus: Bus<Prompt> = Bus::create(&name)?;
    /// bus.publisher("k")?.from("gateway").reply_to("answers").publish(&Prompt { text: "Why?".into() })?;
    ///
    /// let store = bus.store();
    /// let frame = store.get("k")?.expect("one was published");
    /// let frame = Frame::parse(&frame)?;
    /// let message_type = store.message_type(frame.fingerprint())?.expect("its publisher left it");
    /// let json = message_type.frame_to_json(&frame)?;
    /// assert!(json.contains(r#""from":"gateway","type":"query","payload":{"text":"Why?"},"to":"*","reply_to":"answers""#));
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn frame_to_json(&self, frame: &Frame<'_>) -> Result<String, ReadError> {
        let envelope = EnvelopeFields {
            id: frame.id(),
            ts: frame.ts(),
            from: frame.from(),
            kind: frame.kind(),
            to: frame.to(),
            reply_to: frame.reply_to(),
            ttl_ms: frame.ttl(),
            trace: frame.trace(),
            seq: frame.seq(),
            eof: frame.eof(),
            attempt: frame.attempt(),
        };
        if frame.fingerprint() != self.fingerprint() {
            let reason = format!("the frame has a message of another type, {:016x}", frame.fingerprint());
            return Err(ReadReason::Invalid(reason).into());
        }
        let payload = match frame.kind() {
            Kind::Heartbeat => "null".to_owned(),
            // Line breaks can stand only between the parts of JSON.
            _ => self.to_json(frame.payload())?.replace(['\n', '\r'], " "),
        };
        let payload = RawValue::from_string(payload).map_err(<ReadError as serde::de::Error>::custom)?;
        serde_json::to_string(&FrameJson::new(&envelope, payload)).map_err(<ReadError as serde::de::Error>::custom)
    }
}
