//! Renders messages with random envelopes as JSON. The result is one valid line that contains every
//! field.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use splinter_bus::store::StoreOptions;
use splinter_bus::{Bus, Message, RecvError};
use splinter_bus_fuzz::{Envelope, anonymous, written};

#[derive(Debug, Arbitrary, Message, serde::Serialize, serde::Deserialize)]
struct Prompt {
    text: String,
    stop: Vec<String>,
    top_k: Option<u32>,
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    envelope: Envelope<'a>,
    prompt: Prompt,
}

static BUS: LazyLock<Bus<Prompt>> = LazyLock::new(|| Bus::on(anonymous(&StoreOptions::new().slots(1))));

fuzz_target!(|input: Input<'_>| {
    let mut payload = Vec::new();
    input.prompt.encode(&mut payload).expect("free space");
    let mut outgoing = input.envelope.outgoing();
    (outgoing.fingerprint, outgoing.encoding) = (BUS.message_type().fingerprint(), Prompt::ENCODING);
    outgoing.checksum = true;
    // Too long names, heartbeats, and messages that are larger than the store allows are refused.
    let Some(frame) = written(&outgoing, &payload) else { return };
    if BUS.store().set("k", &frame).is_err() {
        return;
    }
    let received = match BUS.get("k") {
        // The message may have expired.
        Err(RecvError::Expired { .. }) => return,
        received => received.expect("a published message"),
    };
    let line = serde_json::to_string(&received.expect("a published message")).expect("JSON");
    assert!(!line.contains('\n'));
    let json: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(json["id"], outgoing.id.to_string());
    assert_eq!(json["ts"].as_str().map(str::len), Some("2026-01-01T00:00:00.000Z".len()), "{}", json["ts"]);
    assert_eq!(json["type"], outgoing.kind.name());
    assert_eq!(json["from"], outgoing.from);
    assert_eq!(json["to"], if outgoing.to.is_empty() { "*" } else { outgoing.to });
    assert_eq!(json.get("ttl_ms").map(|ttl| ttl.as_u64().expect("a number")), outgoing.ttl.map(u64::from));
    assert_eq!(json.get("trace").map_or("", |trace| trace.as_str().expect("a text")), outgoing.trace);
    assert_eq!((&json["seq"], &json["eof"]), (&outgoing.seq.into(), &outgoing.eof.into()));
    assert_eq!(json["payload"], serde_json::to_value(&input.prompt).expect("JSON"));
});
