//! Types of the standard library and of serde in messages: each goes to bytes, to JSON, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::Bound;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use splinter_bus::message::{Decode, MessageType};
use splinter_bus::schema::{Schema, SchemaError, SchemaWriter};
use splinter_bus::{Message, Schema};

/// A message of one value of any type.
#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Of<T> {
    value: T,
}

/// Checks that a value is written as its schema says, and comes back from bytes and from JSON. Returns its
/// JSON.
fn exact<T>(value: T) -> String
where
    Of<T>: Message + for<'de> Decode<'de> + PartialEq + Debug,
{
    let (ty, message) = (Of::<T>::message_type(), Of { value });
    message.check_schema(ty.schema()).unwrap_or_else(|error| panic!("{ty}: {error}"));
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    assert_eq!(Of::<T>::decode_by(ty.schema(), &payload).unwrap(), message, "{ty}");
    let json = ty.to_json(&payload).unwrap();
    assert_eq!(ty.from_json(&json).unwrap(), payload, "{json}");
    assert_eq!(MessageType::from_bytes(&ty.to_bytes()).unwrap(), ty);
    json.strip_prefix("{\"value\":").unwrap().strip_suffix('}').unwrap().to_owned()
}

#[test]
fn types_of_the_standard_library_are_exact() {
    assert_eq!(exact(u64::MAX), "18446744073709551615");
    assert_eq!(exact(i64::MIN), "-9223372036854775808");
    assert_eq!(exact(u128::MAX), "\"340282366920938463463374607431768211455\"");
    assert_eq!(exact(i128::MIN), "\"-170141183460469231731687303715884105728\"");
    assert_eq!(exact((u8::MAX, i8::MIN, u16::MAX, i16::MIN, usize::MAX, isize::MIN)).split(',').count(), 6);
    assert_eq!(
        exact((0.1_f32, 0.1_f64, -0.0_f64, f32::MIN_POSITIVE, f64::MAX)),
        "[0.1,0.1,-0.0,1.1754944e-38,1.7976931348623157e+308]"
    );
    assert_eq!(exact((f64::INFINITY, f32::NEG_INFINITY)), "[\"inf\",\"-inf\"]");
    assert_eq!(exact(('ß', "\"\\\u{1}".to_owned(), true)), "[\"ß\",\"\\\"\\\\\\u0001\",true]");
    assert_eq!(
        exact((NonZero::new(3_u8).unwrap(), NonZero::new(-3_i128).unwrap(), Wrapping(4_u32), Saturating(5_i16))),
        "[3,\"-3\",4,5]"
    );
    assert_eq!(exact((1..2_u8, 1..=2_u16, 3..)), "[{\"start\":1,\"end\":2},{\"start\":1,\"end\":2},{\"start\":3}]");
    assert_eq!(exact(..7_i32), "{\"end\":7}");
    assert_eq!(exact((Bound::Included(1_u8), Bound::<u8>::Unbounded)), "[{\"Included\":1},\"Unbounded\"]");
    assert_eq!(exact((Ok::<u8, String>(1), Err::<u8, String>("no".into()))), "[{\"Ok\":1},{\"Err\":\"no\"}]");
    assert_eq!(exact(IpAddr::V4(Ipv4Addr::LOCALHOST)), "{\"V4\":\"127.0.0.1\"}");
    assert_eq!(exact(Ipv6Addr::LOCALHOST), "\"::1\"");
    let (v4, v6) = (SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80), SocketAddrV6::new(Ipv6Addr::LOCALHOST, 443, 0, 0));
    assert_eq!(exact((SocketAddr::V4(v4), SocketAddr::V6(v6))), "[{\"V4\":[\"127.0.0.1\",80]},{\"V6\":[\"::1\",443]}]");
    assert_eq!(exact(OsString::from("a")), "{\"Unix\":[97]}");
    assert_eq!(exact((PathBuf::from("/tmp"), CString::new("c").unwrap())), "[\"/tmp\",\"Yw==\"]");
    assert_eq!(
        exact((Duration::from_millis(1500), UNIX_EPOCH)),
        "[{\"secs\":1,\"nanos\":500000000},{\"secs_since_epoch\":0,\"nanos_since_epoch\":0}]"
    );
    assert_eq!(
        exact((VecDeque::from([1_u8]), LinkedList::from([2_u8]), BTreeSet::from([3_u8]), HashSet::from([4_u8]))),
        "[[1],[2],[3],[4]]"
    );
    assert_eq!(exact(Cow::<'static, str>::Borrowed("cow")), "\"cow\"");
    assert_eq!(exact((Box::new(1_u8), Box::<str>::from("text"), Box::<[u8]>::from([1, 2]))), "[1,\"text\",[1,2]]");
    assert_eq!(exact(((), std::marker::PhantomData::<u8>)), "[null,null]");
    assert_eq!(exact([[1_u8; 2]; 3]), "[[1,1],[1,1],[1,1]]");
    assert_eq!(exact((1_u8, 2_u8, 3_u8, 4_u8, 5_u8, 6_u8, 7_u8, 8_u8, 9_u8, 10_u8, 11_u8, 12_u8)).len(), 28);
    assert_eq!(SchemaWriter::table_of::<BinaryHeap<u8>>().to_string(), "[u8]");
    // serde has no `Deserialize` for these, and `Serialize` for some.
    assert_eq!(SchemaWriter::table_of::<[u8; 1000]>().to_string(), "[u8;1000]");
    assert_eq!(
        SchemaWriter::table_of::<(std::sync::atomic::AtomicU32, std::rc::Rc<str>, std::sync::Arc<[i8]>)>().to_string(),
        "(u32,String,[i8])"
    );
}

#[test]
fn what_is_ambiguous_in_json_is_told_apart() {
    assert_eq!(exact(None::<Option<u8>>), "null");
    assert_eq!(exact(Some(None::<u8>)), "[null]");
    assert_eq!(exact(Some(Some(1_u8))), "[1]");
    assert_eq!(exact(Some(Some(Some(())))), "[[[null]]]");
    assert_eq!(exact(BTreeMap::from([("b".to_owned(), 1_u8), ("a".to_owned(), 2)])), "{\"a\":2,\"b\":1}");
    assert_eq!(exact(BTreeMap::from([(1_u8, "x".to_owned())])), "[[1,\"x\"]]");
    assert_eq!(exact(HashMap::from([(Key { x: 1, y: 'k' }, ())])), "[[{\"x\":1,\"y\":\"k\"},null]]");
    assert_eq!(exact(BTreeMap::from([(Name("n".into()), 1.5_f64)])), "{\"n\":1.5}");
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
struct Key {
    x: u8,
    y: char,
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Name(String);

#[test]
fn floats_keep_every_bit() {
    let ty = Of::<(f32, f64)>::message_type();
    for (single, double) in [
        (0x7fc0_0000, 0x7ff8_0000_0000_0000),
        (0x7fc0_0001, 0x7ff8_0000_0000_0001),
        (0xffc0_0000, 0xfff8_0000_0000_0000),
        (0x7f80_0001, 0x7ff0_0000_0000_0001),
        (1, 1),
        (0x8000_0000, 0x8000_0000_0000_0000),
    ] {
        let mut payload = Vec::new();
        Of { value: (f32::from_bits(single), f64::from_bits(double)) }.encode(&mut payload).unwrap();
        let json = ty.to_json(&payload).unwrap();
        assert_eq!(ty.from_json(&json).unwrap(), payload, "{json}");
    }
}

#[derive(Message, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Plain {
    id: u64,
    points: [Point; 2],
    state: State,
    on: bool,
    small: i16,
    big: zerocopy::byteorder::big_endian::U32,
    letter: char,
    half: f32,
    action: Action,
    rest: [u8; 4],
}

#[derive(Schema, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[repr(C)]
struct Point(f32, f32);

#[derive(Schema, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[repr(u8)]
#[allow(dead_code, reason = "read by its schema")]
enum State {
    Off = 3,
    On,
}

#[derive(Schema, zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[repr(u8)]
enum Action {
    #[allow(dead_code, reason = "read by its schema")]
    Move { by: [u8; 3] },
    #[allow(dead_code, reason = "read by its schema")]
    Wait(u8, [u8; 2]),
}

#[test]
fn plain_messages_go_to_json_and_back() {
    let message = Plain {
        id: u64::MAX,
        points: [Point(0.5, -1.0), Point(f32::NAN, 2.0)],
        state: State::On,
        on: true,
        small: -2,
        big: 0x0102_0304.into(),
        letter: 'ß',
        half: 0.25,
        action: Action::Move { by: [1, 2, 3] },
        rest: [9; 4],
    };
    let (ty, mut payload) = (Plain::message_type(), Vec::new());
    message.encode(&mut payload).unwrap();
    let json = ty.to_json(&payload).unwrap();
    assert_eq!(
        json,
        "{\"id\":18446744073709551615,\"points\":[[0.5,-1.0],[\"NaN\",2.0]],\"state\":\"On\",\"on\":true,\"small\":-2,\
         \"big\":16909060,\"letter\":\"ß\",\"half\":0.25,\"action\":{\"Move\":{\"by\":[1,2,3]}},\"rest\":[9,9,9,9]}"
    );
    assert_eq!(ty.from_json(&json).unwrap(), payload);
    let other = json.replace("{\"Move\":{\"by\":[1,2,3]}}", "{\"Wait\":[7,[8,9]]}").replace("\"On\"", "\"Off\"");
    let payload = ty.from_json(&other).unwrap();
    assert_eq!(ty.to_json(&payload).unwrap(), other);
    assert_eq!(
        ty.to_json(&payload[1..]).unwrap_err().to_string(),
        "the sender has 47 bytes, the receiver wants 48, the size of the type"
    );
}

#[derive(Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Tensor {
    values: [[f32; 512]; 512],
}

#[test]
fn a_long_plain_message_goes_to_json_and_back() {
    let ty = Tensor::message_type();
    let payload: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 61) as u8).collect();
    assert_eq!(payload.len(), size_of::<Tensor>());
    assert_eq!(ty.from_json(&ty.to_json(&payload).unwrap()).unwrap(), payload);
}

#[derive(Message, Serialize, Deserialize)]
struct Prompt {
    text: String,
    sampling: Option<Sampling>,
    stop: Vec<(u8, i128)>,
}

#[derive(Schema, Serialize, Deserialize)]
enum Sampling {
    Greedy,
    TopK(u32),
    Nucleus { p: f32 },
}

#[test]
fn json_that_is_no_message_is_an_error_that_says_where() {
    let ty = Prompt::message_type();
    let good = ty.from_json(r#"{ "stop": [[1, "-2"]], "text": "a" }"#).unwrap();
    assert_eq!(good, [1, b'a', 0, 1, 1, 3]);
    for (json, expected) in [
        ("", "a value is due: EOF while parsing a value at line 1 column 0"),
        ("[]", "an object is due, and not []"),
        (r#"{"stop":[]}"#, "at `text`, the field is missing"),
        (r#"{"text":1,"stop":[]}"#, "at `text`, a string is due, and not 1"),
        (r#"{"text":"","stop":[],"txet":""}"#, "there is no field `txet`"),
        (r#"{"text":"","text":"","stop":[]}"#, "the field `text` is there twice"),
        (r#"{"text":"","stop":[[1,2],[256,2]]}"#, "at `stop[1][0]`, u8 is due, and not 256"),
        (r#"{"text":"","stop":[[1]]}"#, "at `stop[0]`, a list of 2 is due, and not of 1"),
        (r#"{"text":"","stop":[[1,"x"]]}"#, "at `stop[0][1]`, \"x\": invalid digit found in string"),
        (
            r#"{"text":"","stop":[],"sampling":"Nucleus"}"#,
            "at `sampling.Nucleus`, the variant has content: write {\"Nucleus\": ...}",
        ),
        (
            r#"{"text":"","stop":[],"sampling":{"Greedy":1}}"#,
            "at `sampling.Greedy`, the variant has no content: write its name alone",
        ),
        (
            r#"{"text":"","stop":[],"sampling":{"Nucleus":{"p":"half"}}}"#,
            "at `sampling.Nucleus.p`, f32 is due, and not \"half\"",
        ),
        (
            r#"{"text":"","stop":[],"sampling":"TopP"}"#,
            "at `sampling`, there is no variant `TopP`: known are `Greedy`, `TopK`, `Nucleus`",
        ),
    ] {
        assert_eq!(ty.from_json(json).unwrap_err().to_string(), expected, "{json}");
    }
}

#[test]
fn bytes_that_are_no_schema_are_refused() {
    let bytes = Prompt::message_type().to_bytes();
    assert!(matches!(MessageType::from_bytes(&[]), Err(SchemaError::Damaged { .. })));
    assert!(matches!(MessageType::from_bytes(&[2, 0]), Err(SchemaError::Format { found: 2, known: 1 })));
    assert!(matches!(MessageType::from_bytes(&vec![1; 70_000]), Err(SchemaError::TooLarge { found: 70_000, .. })));
    for at in 0..bytes.len() {
        assert!(MessageType::from_bytes(&bytes[..at]).is_err(), "{at}");
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            // Another type, or an error; never a panic.
            if let Ok(other) = MessageType::from_bytes(&damaged) {
                let _ = (other.to_json(&[1, 2, 3]), other.from_json("{}"), other.to_string());
            }
        }
    }
}

#[test]
fn equal_structures_are_one_schema() {
    fn text<T: Schema + ?Sized>() -> String {
        SchemaWriter::table_of::<T>().to_string()
    }
    assert_eq!(text::<Vec<String>>(), "[String]");
    assert_eq!(text::<&[&str]>(), "[String]");
    assert_eq!(text::<Box<[Cow<'_, str>]>>(), "[String]");
    assert_eq!(
        text::<(HashMap<u8, Option<[f32; 3]>>, Result<(), (bool,)>)>(),
        "(map[u8=>Option<[f32;3]>],Result<(), (bool,)>#1); Result<(), (bool,)> enum{Ok(()),Err((bool))}"
    );
}

#[cfg(feature = "uuid")]
#[test]
fn ids_are_exact() {
    let id = uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    assert_eq!(exact(id), "\"01234567-89ab-cdef-0123-456789abcdef\"");
}

#[cfg(feature = "bytes")]
#[test]
fn buffers_are_exact() {
    assert_eq!(exact(bytes::Bytes::from_static(b"bytes")), "\"Ynl0ZXM=\"");
    assert_eq!(exact(bytes::BytesMut::new()), "\"\"");
}

#[cfg(feature = "serde_bytes")]
#[test]
fn byte_strings_are_exact() {
    assert_eq!(exact(serde_bytes::ByteBuf::from(b"bytes".to_vec())), "\"Ynl0ZXM=\"");
    assert_eq!(exact(serde_bytes::ByteArray::new(*b"bytes")), "\"Ynl0ZXM=\"");

    #[derive(Message, Serialize, Deserialize)]
    struct Text {
        #[serde(with = "serde_bytes")]
        #[message(schema = serde_bytes::ByteBuf)]
        text: Vec<u8>,
    }
    let message = Text { text: b"bytes".to_vec() };
    message.check_schema(Text::message_type().schema()).unwrap();
}

#[cfg(feature = "indexmap")]
#[test]
fn maps_in_the_order_of_insertion_are_exact() {
    let map: indexmap::IndexMap<_, _> = [("z".to_owned(), 1_u8), ("a".to_owned(), 2)].into_iter().collect();
    assert_eq!(exact(map), "{\"z\":1,\"a\":2}");
    let set: indexmap::IndexSet<u16> = [3, 1, 2].into_iter().collect();
    assert_eq!(exact(set), "[3,1,2]");
    // Those of a map that is not ordered, too: the bytes are the same.
    let (index, hash) = (Of::<indexmap::IndexMap<u8, bool>>::message_type(), Of::<HashMap<u8, bool>>::message_type());
    assert_eq!(index.fingerprint(), hash.fingerprint());
}

#[cfg(feature = "url")]
#[test]
fn addresses_of_the_web_are_exact() {
    let url: url::Url = "https://example.org/a?b=c#d".parse().unwrap();
    assert_eq!(exact(url), "\"https://example.org/a?b=c#d\"");
}

#[cfg(feature = "chrono")]
#[test]
fn times_of_chrono_are_exact() {
    use chrono::{DateTime, FixedOffset, Month, NaiveDate, TimeDelta, Utc, Weekday};
    let utc: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
    assert_eq!(exact(utc), "\"2023-11-14T22:13:20.123456789Z\"");
    let zoned = utc.with_timezone(&FixedOffset::east_opt(2 * 3600).unwrap());
    assert_eq!(exact(zoned), "\"2023-11-15T00:13:20.123456789+02:00\"");
    assert_eq!(exact(utc.naive_utc()), "\"2023-11-14T22:13:20.123456789\"");
    assert_eq!(exact(NaiveDate::MIN).len(), "\"-262143-01-01\"".len());
    assert_eq!(exact(utc.time()), "\"22:13:20.123456789\"");
    assert_eq!(exact((Weekday::Tue, Month::December)), "[\"Tue\",\"December\"]");
    exact((TimeDelta::MAX, TimeDelta::MIN, TimeDelta::nanoseconds(-1)));
}

#[cfg(feature = "time")]
#[test]
fn times_of_time_are_exact() {
    use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcDateTime, UtcOffset, Weekday};
    let utc = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
    let offset = UtcOffset::from_hms(-3, -30, -1).unwrap();
    assert_eq!(exact(utc), "[2023,318,22,13,20,123456789,0,0,0]");
    exact((utc.to_offset(offset), offset, utc.date(), utc.time(), utc.weekday(), utc.month()));
    exact((PrimitiveDateTime::MIN, PrimitiveDateTime::MAX, UtcDateTime::MIN, UtcDateTime::MAX));
    exact((Date::MIN, Date::MAX, Time::MIDNIGHT, Time::MAX, Duration::MIN, Duration::MAX));
    exact(([Month::January, Month::December], [Weekday::Monday, Weekday::Sunday]));
}
