//! Parses random bytes as a frame, and frames in which some bytes were changed.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use splinter_bus::frame::{Frame, Outgoing};
use splinter_bus_fuzz::{Envelope, written};

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Changed { envelope: Envelope<'a>, changes: Vec<(u16, u8)> },
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => {
        if let Ok(frame) = Frame::parse(bytes) {
            assert!(bytes.ends_with(frame.payload()));
            is_written_as_it_was_read(&frame);
        }
    }
    Input::Changed { envelope, changes } => {
        let outgoing = envelope.outgoing();
        let Some(bytes) = written(&outgoing, envelope.payload) else { return };
        is(&Frame::parse(&bytes).expect("a written frame is valid"), &outgoing, envelope.payload);
        let mut changed = bytes.clone();
        for (at, byte) in changes {
            let at = usize::from(at) % changed.len();
            changed[at] = byte;
        }
        if let Ok(frame) = Frame::parse(&changed) {
            assert!(changed == bytes || !frame.has_checksum(), "the checksum does not detect a change");
            is_written_as_it_was_read(&frame);
        }
    }
});

fn is_written_as_it_was_read(frame: &Frame<'_>) {
    let outgoing = Outgoing {
        kind: frame.kind(),
        encoding: frame.encoding(),
        fingerprint: frame.fingerprint(),
        id: frame.id(),
        ts: frame.ts(),
        sent_boot: frame.sent_boot(),
        ttl: frame.ttl(),
        seq: frame.seq(),
        eof: frame.eof(),
        attempt: frame.attempt(),
        checksum: frame.has_checksum(),
        payload_align: 1,
        from: frame.from(),
        to: frame.to(),
        trace: frame.trace(),
        reply_to: frame.reply_to(),
    };
    let bytes = written(&outgoing, frame.payload()).expect("a frame that was read can be written");
    is(&Frame::parse(&bytes).expect("a written frame is valid"), &outgoing, frame.payload());
}

fn is(frame: &Frame<'_>, outgoing: &Outgoing<'_>, payload: &[u8]) {
    assert_eq!((frame.kind(), frame.encoding()), (outgoing.kind, outgoing.encoding));
    assert_eq!((frame.fingerprint(), frame.id()), (outgoing.fingerprint, outgoing.id));
    assert_eq!((frame.ts(), frame.ttl()), (outgoing.ts, outgoing.ttl));
    assert_eq!((frame.seq(), frame.eof()), (outgoing.seq, outgoing.eof));
    assert_eq!((frame.attempt(), frame.has_checksum()), (outgoing.attempt.max(1), outgoing.checksum));
    assert!(frame.sent_boot() == outgoing.sent_boot || frame.ttl().is_none());
    let to = if outgoing.to.is_empty() { "*" } else { outgoing.to };
    assert_eq!((frame.from(), frame.to(), frame.trace()), (outgoing.from, to, outgoing.trace));
    assert_eq!((frame.reply_to(), frame.payload()), (outgoing.reply_to, payload));
}
