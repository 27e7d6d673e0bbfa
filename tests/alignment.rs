//! Plain messages of every alignment are read and written in place, whatever the lengths of the
//! names in their envelopes.

mod support;

use std::thread;

use bytemuck::{Pod, Zeroable};
use splinter_bus::frame::{self, Encoding, Frame, FrameError, Kind, MAX_PAYLOAD_ALIGN, Outgoing};
use splinter_bus::message::Plain;
use splinter_bus::store::StoreOptions;
use splinter_bus::{Bus, Message, Start, Store};
use support::Name;
use uuid::Uuid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Defines a message of 128 bytes for each alignment, in both encodings.
macro_rules! aligned {
    ($($align:literal $zerocopy:ident $bytemuck:ident)*) => {$(
        #[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
        #[message(encoding = "zerocopy")]
        #[repr(C, align($align))]
        struct $zerocopy([u8; 128]);

        #[derive(Message, Pod, Zeroable, PartialEq, Debug, Clone, Copy)]
        #[message(encoding = "bytemuck", checksum = false)]
        #[repr(C, align($align))]
        struct $bytemuck([u8; 128]);

        impl Filled for $zerocopy {
            const ALIGN: usize = $align;

            fn filled(byte: u8) -> Self {
                Self([byte; 128])
            }
        }

        impl Filled for $bytemuck {
            const ALIGN: usize = $align;

            fn filled(byte: u8) -> Self {
                Self([byte; 128])
            }
        }
    )*};
}

trait Filled: Plain + PartialEq + std::fmt::Debug + Copy {
    const ALIGN: usize;

    fn filled(byte: u8) -> Self;
}

aligned!(1 Z1 B1  2 Z2 B2  4 Z4 B4  8 Z8 B8  16 Z16 B16  32 Z32 B32  64 Z64 B64);

fn assert_aligned<T: Filled>(message: &T, payload: &[u8]) {
    assert_eq!(std::ptr::from_ref(message).addr() % T::ALIGN, 0);
    assert_eq!(std::ptr::from_ref(message).cast(), payload.as_ptr());
}

/// Publishes and lends messages of one type, and reads them in every way.
fn assert_works_in_place<T>(store: &Store, from: &str, to: &str, trace: &str)
where
    T: Filled + splinter_bus::message::DecodeOwned + splinter_bus::message::InPlace,
{
    let bus = Bus::<T>::on(store.clone());
    let mut subscriber = bus.subscribe(T::NAME).unwrap();
    let mut publisher = bus.publisher(T::NAME).unwrap().from(from).to(to).trace(trace);

    publisher.publish(&T::filled(1)).unwrap();
    let sample = subscriber.recv_sample().unwrap();
    assert!(sample.is_in_place());
    assert_eq!((*sample, sample.envelope().from()), (T::filled(1), from));
    assert_aligned(&*sample, sample.payload());
    assert_eq!(*bus.get(T::NAME).unwrap().unwrap(), T::filled(1));

    let mut loan = publisher.loan_zeroed().unwrap();
    assert_eq!(*loan, T::filled(0));
    assert_eq!(std::ptr::from_ref(&*loan).addr() % T::ALIGN, 0);
    *loan = T::filled(2);
    loan.send().unwrap();
    assert_eq!(*subscriber.recv().unwrap(), T::filled(2));
    assert_eq!(*bus.sample(T::NAME).unwrap().unwrap(), T::filled(2));

    let loan = publisher.loan().unwrap().write(&T::filled(3));
    assert_eq!(*loan, T::filled(3));
    let version = loan.send().unwrap().version;
    assert_eq!(*bus.sample_version(T::NAME, version).unwrap().unwrap(), T::filled(3));
}

#[test]
fn plain_messages_of_every_alignment_are_aligned_for_every_length_of_sender_name() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(16));
    // All lengths of names that lead to different offsets of the payload, and the longest names.
    let names: Vec<_> = (1..=130).map(|len| ("f".repeat(len), String::new(), String::new())).collect();
    let longest = || "n".repeat(255);
    for (from, to, trace) in names.iter().chain(&[(longest(), longest(), longest())]) {
        assert_works_in_place::<Z64>(&store, from, to, trace);
        assert_works_in_place::<B64>(&store, from, to, trace);
        assert_works_in_place::<Z32>(&store, from, to, trace);
        assert_works_in_place::<B32>(&store, from, to, trace);
        assert_works_in_place::<Z16>(&store, from, to, trace);
        assert_works_in_place::<B16>(&store, from, to, trace);
        assert_works_in_place::<Z8>(&store, from, to, trace);
        assert_works_in_place::<B4>(&store, from, to, trace);
        assert_works_in_place::<Z2>(&store, from, to, trace);
        assert_works_in_place::<B1>(&store, from, to, trace);
    }
}

#[test]
fn messages_with_a_recipient_and_a_trace_are_aligned() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(16));
    for len in 0..=70 {
        let (to, trace) = ("t".repeat(len), "r".repeat(len / 2));
        assert_works_in_place::<Z64>(&store, "sender", &to, &trace);
        assert_works_in_place::<B32>(&store, "sender", &to, &trace);
    }
}

/// A message in a medium place.
#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(C, align(64))]
struct Medium([u8; 4096]);

/// A message in a large place.
#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(C, align(64))]
struct Large([u8; 100_032]);

impl Filled for Medium {
    const ALIGN: usize = 64;

    fn filled(byte: u8) -> Self {
        Self([byte; 4096])
    }
}

impl Filled for Large {
    const ALIGN: usize = 64;

    fn filled(byte: u8) -> Self {
        Self([byte; 100_032])
    }
}

#[test]
fn long_messages_are_aligned() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(16));
    let check = || {
        for len in 1..=65 {
            assert_works_in_place::<Medium>(&store, &"f".repeat(len), "", "");
            assert_works_in_place::<Large>(&store, &"f".repeat(len), "", "");
        }
    };
    // Unoptimized code has many copies of a message on the stack.
    thread::scope(|scope| {
        thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, check).unwrap().join().unwrap();
    });
}

/// The same type as `Z64`, except for its alignment.
mod packed {
    #[derive(
        splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
    )]
    #[message(encoding = "zerocopy", name = "Z64")]
    #[repr(C)]
    pub(crate) struct Z64([u8; 128]);
}

#[test]
fn types_with_different_padding_in_the_frame_are_different_types() {
    assert_eq!(Z64::message_type().description(), "Z64([u8;128]) [size 128, align 64, fields at 0]");
    assert_eq!(packed::Z64::message_type().description(), "Z64([u8;128]) [size 128, align 1, fields at 0]");
    assert_ne!(Z64::message_type().fingerprint(), packed::Z64::message_type().fingerprint());
}

#[test]
fn replayed_messages_and_jobs_are_aligned() {
    let name = Name::new();
    let bus = Bus::<Z64>::on(name.create(&StoreOptions::new().slots(16)));
    bus.publisher("k").unwrap().from("a name of seventeen").publish(&Z64::filled(9)).unwrap();
    let mut replay = bus.subscribe_from("k", Start::Oldest).unwrap();
    assert_eq!(*replay.recv_sample().unwrap(), Z64::filled(9));
    let mut queue = bus.work_queue("q").unwrap();
    bus.publish("q", &Z64::filled(8)).unwrap();
    let job = queue.recv().unwrap();
    assert_eq!(*job, Z64::filled(8));
    job.acknowledge().unwrap();
}

fn envelope(payload_align: usize, from: &str) -> Outgoing<'_> {
    Outgoing {
        kind: Kind::Event,
        encoding: Encoding::Zerocopy,
        fingerprint: 0,
        id: Uuid::nil(),
        ts: 0,
        sent_boot: 0,
        ttl: None,
        seq: 0,
        eof: true,
        attempt: 1,
        checksum: true,
        payload_align,
        from,
        to: "",
        trace: "",
        reply_to: "",
    }
}

fn written(envelope: &Outgoing<'_>) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![];
    frame::write::<FrameError>(&mut bytes, envelope, |payload| {
        payload.push(1);
        Ok(())
    })?;
    Ok(bytes)
}

#[test]
fn the_padding_before_a_payload_is_as_short_as_its_alignment_allows() {
    for (align, len, offset) in [
        (1, 0, 64),
        (16, 0, 64),
        (16, 1, 80),
        (16, 17, 96),
        (32, 0, 64),
        (32, 32, 96),
        (32, 33, 128),
        (64, 0, 64),
        (64, 1, 128),
        (64, 64, 128),
        (64, 65, 192),
    ] {
        let name = "n".repeat(len);
        let bytes = written(&envelope(align, &name)).unwrap();
        assert_eq!(bytes.len(), offset + 1, "alignment {align}, a name of {len}");
        assert_eq!(offset % align, 0);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.from(), frame.payload()), (&*name, &[1][..]));
    }
    // An alignment that does not move the payload does not change the bytes.
    assert_eq!(written(&envelope(1, "n")), written(&envelope(16, "n")));
}

#[test]
fn an_alignment_that_frames_do_not_support_is_refused() {
    for align in [0, 3, 48, MAX_PAYLOAD_ALIGN * 2] {
        let error = written(&envelope(align, "n")).unwrap_err();
        assert_eq!(error, FrameError::Alignment { align, max: MAX_PAYLOAD_ALIGN });
        assert_eq!(
            error.to_string(),
            format!("a payload cannot be aligned to {align} bytes: a power of two up to 64 is possible")
        );
    }
}
