//! Messages that grow: a receiver with another version of a type reads what its schema says that it can.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use splinter_bus::message::{Decode, Message};
use splinter_bus::schema::Compatibility;

/// Sends a message of the one type, and reads it as the other. Returns what was read, after comparing it with
/// what the schemas say.
fn read_as<'de, Old: Message, New: Decode<'de> + Debug>(old: &Old) -> Result<New, String> {
    let (sender, receiver) = (Old::message_type(), New::message_type());
    let mut payload = Vec::new();
    old.encode(&mut payload).unwrap();
    let verdict = sender.compatible_with(&receiver);
    let read = New::decode_by(sender.schema(), payload.leak()).map_err(|error| error.to_string());
    match (&verdict, &read) {
        (Compatibility::Yes, Ok(_)) | (Compatibility::Partly(_), _) | (Compatibility::No(_), Err(_)) => read,
        _ => panic!("{sender} as {receiver}: {verdict:?}, but {read:?}"),
    }
}

fn verdict<Old: Message, New: Message>() -> String {
    match Old::message_type().compatible_with(&New::message_type()) {
        Compatibility::Yes => "yes".to_owned(),
        Compatibility::Partly(differences) => {
            differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        Compatibility::No(difference) => format!("no: {difference}"),
    }
}

/// Declares a type `Prompt` in a module of its own, so that versions of it have one name.
macro_rules! version {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            #![allow(unused_imports, dead_code)]
            use super::*;
            $(
                #[derive(splinter_bus::Message, Serialize, Deserialize, Debug, PartialEq, Clone)]
                $item
            )*
        }
    };
}

version!(first { pub(crate) struct Prompt { pub(crate) text: String, pub(crate) max_tokens: u16, pub(crate) seed: Option<u64> } });
version!(more {
    pub(crate) struct Prompt {
        pub(crate) seed: Option<u64>,
        pub(crate) max_tokens: u32,
        pub(crate) text: String,
        pub(crate) stop: Option<char>,
        #[serde(default)]
        pub(crate) tags: Vec<String>,
        #[serde(default = "one")]
        pub(crate) copies: u8,
    }
});
version!(required { pub(crate) struct Prompt { pub(crate) text: String, pub(crate) max_tokens: u16, pub(crate) seed: u64, pub(crate) model: String } });
version!(strict {
    #[serde(deny_unknown_fields)]
    pub(crate) struct Prompt { pub(crate) text: String }
});
version!(renamed {
    pub(crate) struct Prompt {
        #[serde(alias = "text")]
        pub(crate) content: String,
        pub(crate) max_tokens: Option<u16>,
    }
});

fn one() -> u8 {
    1
}

fn first() -> first::Prompt {
    first::Prompt { text: "Why?".into(), max_tokens: 7, seed: Some(3) }
}

#[test]
fn fields_are_added_removed_moved_and_renamed() {
    let read: more::Prompt = read_as(&first()).unwrap();
    let expected =
        more::Prompt { seed: Some(3), max_tokens: 7, text: "Why?".into(), stop: None, tags: vec![], copies: 1 };
    assert_eq!(read, expected);
    // And back: fields that the old type does not have are skipped.
    assert_eq!(read_as::<_, first::Prompt>(&expected).unwrap(), first());
    let long = more::Prompt { max_tokens: 70_000, stop: Some('x'), tags: vec!["a".into()], ..expected };
    let error = read_as::<_, first::Prompt>(&long).unwrap_err();
    assert!(error.contains("max_tokens") && error.contains("70000"), "{error}");
    assert_eq!(
        verdict::<more::Prompt, first::Prompt>(),
        "at `max_tokens`, the sender's u32 may not fit into the receiver's u16"
    );
    let read: renamed::Prompt = read_as(&first()).unwrap();
    assert_eq!(read, renamed::Prompt { content: "Why?".into(), max_tokens: Some(7) });
}

#[test]
fn what_a_receiver_needs_and_refuses_is_said_with_its_path() {
    assert_eq!(
        verdict::<first::Prompt, required::Prompt>(),
        "no: at `model`, the sender does not have it, and it has no default"
    );
    assert!(read_as::<_, required::Prompt>(&first()).unwrap_err().contains("model"));
    assert_eq!(
        verdict::<first::Prompt, strict::Prompt>(),
        "no: at `max_tokens`, the receiver refuses fields that it does not have"
    );
    read_as::<_, strict::Prompt>(&first()).unwrap_err();
    // An option that becomes a value: it depends on the message.
    assert_eq!(
        verdict::<first::Prompt, only_seed::Prompt>(),
        "at `seed`, the sender may have none, the receiver wants a value"
    );
    assert_eq!(read_as::<_, only_seed::Prompt>(&first()).unwrap().seed, 3);
    read_as::<_, only_seed::Prompt>(&first::Prompt { seed: None, ..first() }).unwrap_err();
}

version!(small { pub(crate) struct Prompt { a: u8, b: Vec<u8>, c: String, d: String } });
version!(large { pub(crate) struct Prompt { a: u16, b: Vec<u16>, c: Option<String>, d: Option<String> } });

#[test]
fn each_field_that_may_not_be_readable_is_listed() {
    assert_eq!(
        verdict::<large::Prompt, small::Prompt>(),
        "at `a`, the sender's u16 may not fit into the receiver's u8; \
         at `b[]`, the sender's u16 may not fit into the receiver's u8; \
         at `c`, the sender may have none, the receiver wants a value; \
         at `d`, the sender may have none, the receiver wants a value"
    );
}

version!(only_seed { pub(crate) struct Prompt { pub(crate) seed: u64 } });

version!(roles {
    pub(crate) enum Prompt { User { text: String }, System(String), Clear }
});
version!(more_roles {
    pub(crate) enum Prompt { Clear, Tool(u64, String), System(String), User { text: String, name: Option<String> } }
});
version!(lenient {
    pub(crate) enum Prompt {
        User { text: String },
        #[serde(other)]
        Unknown,
    }
});

#[test]
fn variants_go_by_name_and_unknown_ones_to_the_other_one() {
    let user = roles::Prompt::User { text: "Why?".into() };
    let read: more_roles::Prompt = read_as(&user).unwrap();
    assert_eq!(read, more_roles::Prompt::User { text: "Why?".into(), name: None });
    assert_eq!(verdict::<roles::Prompt, more_roles::Prompt>(), "yes");
    assert_eq!(verdict::<more_roles::Prompt, roles::Prompt>(), "at `Tool`, the receiver has no such variant");
    assert_eq!(read_as::<_, roles::Prompt>(&read).unwrap(), user);
    read_as::<_, roles::Prompt>(&more_roles::Prompt::Tool(1, "x".into())).unwrap_err();
    assert_eq!(verdict::<more_roles::Prompt, lenient::Prompt>(), "yes");
    let tool = more_roles::Prompt::Tool(1, "x".into());
    assert_eq!(read_as::<_, lenient::Prompt>(&tool).unwrap(), lenient::Prompt::Unknown);
    assert_eq!(read_as::<_, lenient::Prompt>(&more_roles::Prompt::Clear).unwrap(), lenient::Prompt::Unknown);
}

/// Compares types of one field.
macro_rules! field {
    ($($old:ty => $new:ty: $verdict:literal, $value:expr => $read:pat),* $(,)?) => {$({
        mod old {
            #[allow(unused_imports)]
            use super::*;
            #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
            pub(super) struct M { pub(super) f: $old }
        }
        mod new {
            #[allow(unused_imports)]
            use super::*;
            #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
            pub(super) struct M { pub(super) f: $new }
        }
        assert_eq!(verdict::<old::M, new::M>(), $verdict, "{} to {}", stringify!($old), stringify!($new));
        let read = read_as::<_, new::M>(&old::M { f: $value }).map(|message| message.f);
        assert!(matches!(read, $read), "{} to {}: {read:?}", stringify!($old), stringify!($new));
    })*};
}

#[derive(splinter_bus::Schema, Serialize, Deserialize, Debug)]
struct Id(u64);

#[derive(splinter_bus::Schema, Serialize, Deserialize, Debug)]
struct Pair(u8, u16);

#[derive(splinter_bus::Schema, Serialize, Deserialize, Debug)]
struct One([u8; 1]);

#[test]
#[expect(clippy::redundant_pattern_matching, reason = "a pattern says what is read in each case")]
fn types_of_fields_change() {
    field! {
        u8 => u64: "yes", 7 => Ok(7),
        u8 => i16: "yes", 7 => Ok(7),
        u64 => i64: "at `f`, the sender's u64 may not fit into the receiver's i64", u64::MAX => Err(_),
        i8 => u128: "at `f`, the sender's i8 may not fit into the receiver's u128", -1 => Err(_),
        u128 => i128: "at `f`, the sender's u128 may not fit into the receiver's i128", 7 => Ok(7),
        u64 => f64: "no: at `f`, the sender has u64, the receiver wants f64", 7 => Err(_),
        f32 => f64: "yes", 0.5 => Ok(_),
        f64 => f32: "no: at `f`, the sender has f64, the receiver wants f32", 0.5 => Err(_),
        u64 => Option<u64>: "yes", 7 => Ok(Some(7)),
        Option<u8> => Option<u16>: "yes", Some(7) => Ok(Some(7)),
        Option<u8> => u8: "at `f`, the sender may have none, the receiver wants a value", Some(7) => Ok(7),
        u64 => Id: "yes", 7 => Ok(Id(7)),
        Id => u64: "yes", Id(7) => Ok(7),
        Id => Option<u64>: "yes", Id(7) => Ok(Some(7)),
        One => One: "yes", One([7]) => Ok(One([7])),
        (u8, u16) => Pair: "yes", (1, 2) => Ok(Pair(1, 2)),
        Pair => (u32, u32): "yes", Pair(1, 2) => Ok((1, 2)),
        (u8, u16) => (u8, u16, u8): "no: at `f`, the sender has a tuple of 2, the receiver wants a tuple of 3", (1, 2) => Err(_),
        Vec<u8> => Vec<u32>: "yes", vec![1, 2] => Ok(_),
        Vec<u64> => Vec<f64>: "no: at `f[]`, the sender has u64, the receiver wants f64", vec![1] => Err(_),
        [u8; 2] => Vec<u8>: "yes", [1, 2] => Ok(_),
        Vec<u8> => [u8; 2]: "at `f`, the sender may have another number of items than 2", vec![1, 2] => Ok([1, 2]),
        [u8; 2] => [u8; 3]: "no: at `f`, the sender has an array of 2, the receiver wants an array of 3", [1, 2] => Err(_),
        std::ffi::CString => (u8, u16): "at `f`, the sender may have another number of bytes than 2", c"ab".into() => Ok((97, 98)),
        std::ffi::CString => (u8, char): "no: at `f[1]`, the sender has bytes, the receiver wants a sequence of char", c"ab".into() => Err(_),
        Vec<u8> => BTreeSet<u8>: "yes", vec![2, 1] => Ok(_),
        BTreeMap<String, u8> => BTreeMap<String, u64>: "yes", BTreeMap::new() => Ok(_),
        String => char: "no: at `f`, the sender has a string, the receiver wants char", "x".into() => Err(_),
        bool => u8: "no: at `f`, the sender has bool, the receiver wants u8", true => Err(_),
        String => std::path::PathBuf: "yes", "x".into() => Ok(_),
        std::path::PathBuf => String: "yes", "x".into() => Ok(_),
        u32 => std::num::NonZero<u32>: "at `f`, not each value of the sender may be a NonZero", 7 => Ok(_),
        std::num::NonZero<u8> => u32: "yes", std::num::NonZero::new(7).unwrap() => Ok(7),
    }
}

version!(tree { pub(crate) struct Prompt { pub(crate) value: u32, pub(crate) children: Vec<Prompt> } });
version!(wide_tree { pub(crate) struct Prompt { pub(crate) children: Vec<Prompt>, pub(crate) value: u64, pub(crate) note: Option<String> } });
version!(other_tree { pub(crate) struct Prompt { pub(crate) value: f64, pub(crate) children: Vec<Prompt> } });

#[test]
fn types_that_contain_themselves_grow_too() {
    let leaf = |value| tree::Prompt { value, children: vec![] };
    let tree = tree::Prompt { value: 1, children: vec![leaf(2), leaf(3)] };
    let read: wide_tree::Prompt = read_as(&tree).unwrap();
    assert_eq!((read.value, read.children[1].value), (1, 3));
    assert_eq!(verdict::<tree::Prompt, wide_tree::Prompt>(), "yes");
    assert_eq!(
        verdict::<tree::Prompt, other_tree::Prompt>(),
        "no: at `value`, the sender has u32, the receiver wants f64"
    );
}

mod named {
    use super::*;

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    #[message(name = "Prompt", version = 2)]
    pub(crate) struct Second {
        pub(crate) text: String,
    }

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    #[message(name = "Prompt", encoding = "json")]
    pub(crate) struct AsJson {
        pub(crate) text: String,
    }

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    pub(crate) struct Another {
        pub(crate) text: String,
    }
}

mod aliased {
    use super::*;

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug, PartialEq)]
    #[message(alias = "Older", alias = "Prompt")]
    pub(crate) struct Request {
        pub(crate) text: String,
    }

    /// The same fields, under the old name.
    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    pub(crate) struct Older {
        pub(crate) text: String,
    }

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    pub(crate) struct Page<T> {
        pub(crate) items: Vec<T>,
    }

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    #[message(alias = "Page")]
    pub(crate) struct Sheet<T> {
        pub(crate) items: Vec<T>,
    }

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug)]
    #[message(alias = "Page<u8>")]
    pub(crate) struct Bytes {
        pub(crate) items: Vec<u8>,
    }

    #[derive(
        splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
    )]
    #[message(encoding = "zerocopy")]
    #[repr(C)]
    pub(crate) struct Place(u8);

    #[derive(
        splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
    )]
    #[message(encoding = "zerocopy", alias = "Place")]
    #[repr(C)]
    pub(crate) struct Spot(u8);

    #[derive(
        splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
    )]
    #[message(encoding = "zerocopy", alias = "Place")]
    #[repr(C)]
    pub(crate) struct Wide(u16);
}

#[test]
fn a_receiver_accepts_the_former_names_of_its_type() {
    use aliased::{Bytes, Older, Page, Place, Request, Sheet, Spot, Wide};
    assert_eq!(read_as::<_, Request>(&first()).unwrap(), Request { text: "Why?".into() });
    assert_eq!(verdict::<first::Prompt, Request>(), "yes");
    assert_eq!(verdict::<Request, first::Prompt>(), "no: the sender's type is Request, the receiver's is Prompt");
    // The same schema under another name is another type, which can be read.
    let (old, new) = (Older::message_type(), Request::message_type());
    assert_ne!(old.fingerprint(), new.fingerprint());
    assert_eq!(verdict::<Older, Request>(), "yes");
    assert_eq!(new.aliases(), ["Older", "Prompt"]);
    assert_eq!(verdict::<Page<u8>, Sheet<u16>>(), "no: the sender's type is Page<u8>, the receiver's is Sheet<u16>");
    assert_eq!(verdict::<Page<u8>, Sheet<u8>>(), "yes");
    assert_eq!(Sheet::<u8>::message_type().aliases(), ["Page", "Page<u8>"]);
    assert_eq!(verdict::<Page<u8>, Bytes>(), "yes");
    assert_eq!(verdict::<Page<u16>, Bytes>(), "no: the sender's type is Page<u16>, the receiver's is Bytes");
    // Types whose values are their own bytes must be the same but for their name.
    assert_eq!(verdict::<Place, Spot>(), "yes");
    assert_eq!(verdict::<Place, Wide>(), "no: messages in zerocopy are read by their own type only");
}

#[test]
fn aliases_are_in_the_bytes_of_a_type_and_not_in_its_fingerprint() {
    let with = aliased::Request::message_type();
    let back = splinter_bus::message::MessageType::from_bytes(&with.to_bytes()).unwrap();
    assert_eq!((back.aliases(), &back), (with.aliases(), &with));
    let without = {
        #[derive(splinter_bus::Message, Serialize, Deserialize)]
        struct Request {
            text: String,
        }
        Request::message_type()
    };
    assert_eq!(without.fingerprint(), with.fingerprint());
    assert_ne!(without.to_bytes(), with.to_bytes());
}

#[test]
fn types_of_another_name_version_or_encoding_are_not_read() {
    for (found, wanted) in [
        (verdict::<named::Another, first::Prompt>(), "no: the sender's type is Another, the receiver's is Prompt"),
        (verdict::<named::Second, first::Prompt>(), "no: the sender's version is 2, the receiver's is 1"),
        (verdict::<named::AsJson, first::Prompt>(), "no: the sender's encoding is json, the receiver's is postcard"),
    ] {
        assert_eq!(found, wanted);
    }
}

mod endless {
    #[derive(splinter_bus::Message, serde::Serialize, serde::Deserialize, Debug)]
    pub(crate) struct Prompt(pub(crate) Option<Box<Prompt>>);
}

#[test]
fn a_type_that_is_an_option_of_itself_is_compared_in_finite_time() {
    let receiver = first::Prompt::message_type();
    assert!(matches!(endless::Prompt::message_type().compatible_with(&receiver), Compatibility::No(_)));
    assert!(read_as::<_, first::Prompt>(&endless::Prompt(Some(Box::new(endless::Prompt(None))))).is_err());
}
