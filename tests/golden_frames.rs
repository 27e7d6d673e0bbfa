//! The format of frames, byte for byte. Other versions and languages rely on these bytes.

mod support;

use splinter_bus::frame::{self, Encoding, Frame, FrameError, Kind, NameField, Outgoing};
use support::Random;
use uuid::Uuid;

/// A query in which every field of the envelope is set, and a frame with as few fields as possible.
const FULL: &str = "
    5342 01 01 01 03 06 03  efcdab8967452301  01890a5d ac96774bbcce b302099a8057
    80d7d4aa 7fee9d17  15cd5b07  88130000 02000000  05000000  CRC_____ 06 06 05 04
    636c69656e74 776f726b6572 7472616365 696e2337 000000 00000000 00000000
    68656c6c6f";
const SMALL: &str = "
    5342 01 05 00 01 04 01  0000000000000000  00000000 000000000000 000000000000
    00000000 00000000  00000000  00000000 00000000  00000000  CRC_____ 00 00 00 00";

/// The same as `FULL`, with a payload that is aligned to 64 bytes. The payload starts 128 bytes
/// after the frame's start, which is aligned, too.
const ALIGNED: &str = "
    5342 01 01 01 03 08 03  efcdab8967452301  01890a5d ac96774bbcce b302099a8057
    80d7d4aa 7fee9d17  15cd5b07  88130000 02000000  05000000  CRC_____ 06 06 05 04
    636c69656e74 776f726b6572 7472616365 696e2337 000000 00000000 00000000
    00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
    68656c6c6f";

/// The same as `FULL`, as a later version might write it: with a flag that this version does not
/// know, and an extension between names and payload.
const EXTENDED: &str = "
    5342 01 01 01 83 06 03  efcdab8967452301  01890a5d ac96774bbcce b302099a8057
    80d7d4aa 7fee9d17  15cd5b07  88130000 02000000  05000000  CRC_____ 06 06 05 04
    636c69656e74 776f726b6572 7472616365 696e2337 ee0000 00000000 00000001
    68656c6c6f";

/// The checksums of the frames, as zlib calculates them.
const FULL_CRC: u32 = 0x9be4_53b1;
const SMALL_CRC: u32 = 0x5f19_60ac;
const ALIGNED_CRC: u32 = 0x839e_847d;
const EXTENDED_CRC: u32 = 0x26b7_161a;

fn full() -> Outgoing<'static> {
    Outgoing {
        kind: Kind::Query,
        encoding: Encoding::Postcard,
        fingerprint: 0x0123_4567_89ab_cdef,
        id: Uuid::from_u128(0x01890a5d_ac96_774b_bcce_b302099a8057),
        ts: 0x179d_ee7f_aad4_d780,
        sent_boot: 123_456_789,
        ttl: Some(5000),
        seq: 2,
        eof: true,
        attempt: 3,
        checksum: true,
        payload_align: 16,
        from: "client",
        to: "worker",
        trace: "trace",
        reply_to: "in#7",
    }
}

fn small() -> Outgoing<'static> {
    Outgoing {
        kind: Kind::Heartbeat,
        encoding: Encoding::Raw,
        fingerprint: 0,
        id: Uuid::nil(),
        ts: 0,
        sent_boot: 0,
        ttl: None,
        seq: 0,
        eof: true,
        attempt: 1,
        checksum: true,
        payload_align: 16,
        from: "",
        to: "*",
        trace: "",
        reply_to: "",
    }
}

/// Returns the bytes of a golden frame with the given checksum.
fn bytes(golden: &str, crc: u32) -> Vec<u8> {
    let crc: String = crc.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let hex: String = golden.replace("CRC_____", &crc).split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn written(envelope: &Outgoing<'_>, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0xee; 7];
    frame::write::<FrameError>(&mut frame, envelope, |bytes| {
        bytes.extend_from_slice(payload);
        Ok(())
    })?;
    Ok(frame)
}

/// Writes a valid checksum into the bytes, so that the other checks are reached.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[56..60].fill(0);
    let crc = crc32fast::hash(&frame);
    frame[56..60].copy_from_slice(&crc.to_le_bytes());
    frame
}

#[test]
fn frames_are_written_with_the_golden_bytes() {
    assert_eq!(written(&full(), b"hello").unwrap(), bytes(FULL, FULL_CRC));
    assert_eq!(written(&small(), b"").unwrap(), bytes(SMALL, SMALL_CRC));
    let aligned = Outgoing { payload_align: 64, ..full() };
    assert_eq!(written(&aligned, b"hello").unwrap(), bytes(ALIGNED, ALIGNED_CRC));
    assert_eq!(Frame::parse(&bytes(ALIGNED, ALIGNED_CRC)).unwrap().payload(), b"hello");
}

#[test]
fn golden_bytes_are_read_as_frames() {
    let bytes = bytes(FULL, FULL_CRC);
    let frame = Frame::parse(&bytes).unwrap();
    let expected = full();
    assert_eq!((frame.kind(), frame.encoding()), (Kind::Query, Encoding::Postcard));
    assert_eq!((frame.fingerprint(), frame.id(), frame.ts()), (expected.fingerprint, expected.id, expected.ts));
    assert_eq!((frame.ttl(), frame.seq(), frame.eof()), (Some(5000), 2, true));
    assert_eq!((frame.sent_boot(), frame.attempt()), (123_456_789, 3));
    assert_eq!((frame.from(), frame.to(), frame.trace()), ("client", "worker", "trace"));
    assert_eq!((frame.reply_to(), frame.payload()), ("in#7", &b"hello"[..]));
}

#[test]
fn unknown_flags_and_extensions_before_the_payload_are_ignored() {
    let (plain, extended) = (bytes(FULL, FULL_CRC), bytes(EXTENDED, EXTENDED_CRC));
    let (plain, extended) = (Frame::parse(&plain).unwrap(), Frame::parse(&extended).unwrap());
    assert_eq!((extended.reply_to(), extended.payload()), (plain.reply_to(), plain.payload()));
    assert_eq!((extended.eof(), extended.ttl(), extended.attempt()), (plain.eof(), plain.ttl(), plain.attempt()));
}

#[test]
fn an_attempt_of_zero_is_written_and_read_as_the_first() {
    let written = written(&Outgoing { attempt: 0, ..full() }, b"hello").unwrap();
    assert_eq!(written[7], 1);
    let mut zero = bytes(FULL, FULL_CRC);
    zero[7] = 0;
    assert_eq!(Frame::parse(&sealed(zero)).unwrap().attempt(), 1);
}

#[test]
fn the_boot_clock_is_written_only_with_a_ttl() {
    let written = written(&Outgoing { ttl: None, ..full() }, b"hello").unwrap();
    assert_eq!((&written[40..48], written[5]), (&[0; 8][..], 1));
}

#[test]
fn a_frame_without_a_recipient_is_to_all() {
    let bytes = bytes(SMALL, SMALL_CRC);
    let frame = Frame::parse(&bytes).unwrap();
    assert_eq!((frame.kind(), frame.to(), frame.ttl(), frame.payload()), (Kind::Heartbeat, "*", None, &b""[..]));
}

#[test]
fn every_flipped_bit_is_detected() {
    let good = bytes(FULL, FULL_CRC);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Frame::parse(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn every_missing_or_additional_byte_is_detected() {
    let good = bytes(FULL, FULL_CRC);
    for len in 0..good.len() {
        assert!(Frame::parse(&good[..len]).is_err(), "{len} bytes");
        assert!(len < 64 || Frame::parse(&sealed(good[..len].to_vec())).is_err(), "{len} bytes, sealed");
    }
    let longer = sealed([&good[..], &[0]].concat());
    assert_eq!(Frame::parse(&longer).err(), Some(FrameError::Length { expected: 101, found: 102 }));
}

#[test]
fn errors_name_the_unsupported_field() {
    let good = bytes(FULL, FULL_CRC);
    let with = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        Frame::parse(&sealed(frame)).map(|frame| frame.eof())
    };
    assert_eq!(with(0, 0), Err(FrameError::Magic { found: 0x4200 }));
    assert_eq!(with(2, 2), Err(FrameError::Version { found: 2, newest: 1 }));
    assert_eq!(with(2, 0), Err(FrameError::Version { found: 0, newest: 1 }));
    assert_eq!(with(3, 9), Err(FrameError::UnknownKind { found: 9 }));
    assert_eq!(with(4, 9), Err(FrameError::UnknownEncoding { found: 9 }));
    assert_eq!(with(5, 0xf1), Ok(true), "unknown flags are ignored");
    assert_eq!(with(5, 0), Ok(false));
    for (at, field) in [(64, NameField::From), (70, NameField::To), (76, NameField::Trace), (81, NameField::ReplyTo)] {
        assert_eq!(with(at, 0xff), Err(FrameError::Name { field }));
    }
    // Names that are longer than the space before the payload.
    assert!(matches!(with(60, 255), Err(FrameError::PayloadOffset { offset: 96, .. })));
    // A payload that would begin within the header, or elsewhere than its length says.
    for units in [0, 3, 5, 7, 255] {
        let expected = u64::from(units) * 16 + 5;
        assert_eq!(with(6, units), Err(FrameError::Length { expected, found: 101 }));
    }
    assert!(matches!(with(3, 5), Err(FrameError::Payload { kind: Kind::Heartbeat, len: 5 })));
    assert_eq!(Frame::parse(&[]).err(), Some(FrameError::TooShort { len: 0, header: 64 }));
    // A newer version is named, whatever else that version changes.
    let mut newer = good.clone();
    newer[2] = 3;
    assert_eq!(Frame::parse(&newer).err(), Some(FrameError::Version { found: 3, newest: 1 }));
}

#[test]
fn invalid_frames_are_not_written() {
    let long = "n".repeat(256);
    assert!(matches!(
        written(&Outgoing { from: &long, ..full() }, b"x"),
        Err(FrameError::NameTooLong { len: 256, .. })
    ));
    assert!(matches!(written(&full(), b""), Err(FrameError::Payload { kind: Kind::Query, len: 0 })));
    assert!(matches!(written(&small(), b"x"), Err(FrameError::Payload { kind: Kind::Heartbeat, len: 1 })));
    let longest = "n".repeat(255);
    let names = Outgoing { from: &longest, to: &longest, trace: &longest, reply_to: &longest, ..full() };
    let frame = written(&Outgoing { payload_align: 64, ..names }, b"x").unwrap();
    assert_eq!(Frame::parse(&frame).unwrap().reply_to(), longest);
    let too_long = written(&Outgoing { reply_to: &long, ..full() }, b"x");
    assert_eq!(too_long, Err(FrameError::NameTooLong { field: NameField::ReplyTo, len: 256, max: 255 }));
}

#[test]
fn a_name_must_end_at_the_end_of_a_character() {
    // The two bytes of one character, shared out to two names.
    let mut frame = written(&Outgoing { from: "a", to: "é", ..full() }, b"x").unwrap();
    (frame[60], frame[61]) = (2, 1);
    assert_eq!(Frame::parse(&sealed(frame)).err(), Some(FrameError::Name { field: NameField::From }));
}

#[test]
fn garbage_never_causes_a_panic() {
    let mut random = Random::new(5);
    let good = bytes(FULL, FULL_CRC);
    for _ in 0..200_000 {
        // Half of the frames are random, and half are damaged in a few places. All have a valid
        // checksum.
        let mut frame = if random.below(2) == 0 {
            let len = 64 + random.below(100) as usize;
            (0..len).map(|_| random.next() as u8).collect()
        } else {
            good.clone()
        };
        for _ in 0..=random.below(4) {
            let at = random.below(frame.len() as u64) as usize;
            frame[at] = random.next() as u8;
        }
        frame[..3].copy_from_slice(&good[..3]);
        if let Ok(frame) = Frame::parse(&sealed(frame)) {
            assert!(frame.payload().len() < 200);
        }
    }
}
