//! Reads random schemas, and random payloads by them: as JSON, and back. The input is the length of the
//! schema in two bytes, the schema, and the payload, which also serves as JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use splinter_bus::message::MessageType;

fuzz_target!(|input: &[u8]| {
    let Some((len, rest)) = input.split_first_chunk() else { return };
    let Some((schema, payload)) = rest.split_at_checked(u16::from_le_bytes(*len).into()) else { return };
    let Ok(ty) = MessageType::from_bytes(schema) else { return };
    assert_eq!(MessageType::from_bytes(&ty.to_bytes()).as_ref(), Ok(&ty));
    let _ = std::str::from_utf8(payload).map(|json| ty.from_json(json));
    if let Ok(json) = ty.to_json(payload) {
        // Numbers may have been longer than they need be, so the bytes may be others. Their JSON is not.
        let again = ty.from_json(&json).unwrap();
        assert_eq!(ty.to_json(&again).unwrap(), json);
    }
});
