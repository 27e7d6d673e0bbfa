//! The attributes of serde: what each does to the bytes, the fingerprint says. Those that are refused are
//! in tests/compile.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use splinter_bus::message::{Decode, EncodeError, Json};
use splinter_bus::{Bus, Message, PublishError, Schema};

#[path = "support/mod.rs"]
mod support;
use support::Name;

fn description<T: Message>() -> String {
    T::message_type().description().to_owned()
}

fn fingerprint<T: Message>() -> u64 {
    T::message_type().fingerprint()
}

/// Publishes and receives the message, through JSON too, and returns its payload.
fn exact<T: Message + for<'de> Decode<'de> + PartialEq + Debug>(message: &T) -> Vec<u8> {
    let ty = T::message_type();
    message.check_schema(ty.schema()).unwrap();
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    assert_eq!(&T::decode(&payload).unwrap(), message);
    assert_eq!(&T::decode_by(ty.schema(), &payload).unwrap(), message, "{ty}");
    let json = ty.to_json(&payload).unwrap();
    assert_eq!(ty.from_json(&json).unwrap(), payload, "{json}");
    payload
}

/// Declares types of one name, each in a module of its own.
macro_rules! types {
    ($($module:ident { $($type:tt)* })*) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Clone)]
            $($type)*
        }
    )*};
}

types! {
    plain { pub(crate) struct Point { pub(crate) x: u32, pub(crate) y: u32 } }
    renamed { pub(crate) struct Point { #[serde(rename = "y")] pub(crate) a: u32, #[serde(rename = "x")] pub(crate) b: u32 } }
    swapped { pub(crate) struct Point { #[serde(rename = "x")] pub(crate) a: u32, #[serde(rename = "y")] pub(crate) b: u32 } }
    shouted { #[serde(rename_all = "UPPERCASE")] pub(crate) struct Point { pub(crate) x: u32, pub(crate) y: u32 } }
    read_otherwise {
        #[serde(rename_all(deserialize = "UPPERCASE"), deny_unknown_fields, default)]
        #[derive(Default)]
        pub(crate) struct Point { #[serde(alias = "z")] pub(crate) x: u32, #[serde(default)] pub(crate) y: u32 }
    }
    skipped { pub(crate) struct Point { pub(crate) x: u32, #[serde(skip)] pub(crate) hidden: u64, pub(crate) y: u32 } }
    skipped_in_halves {
        pub(crate) struct Point { pub(crate) x: u32, #[serde(skip_serializing, skip_deserializing)] pub(crate) hidden: u64, pub(crate) y: u32 }
    }
    texts { pub(crate) struct Point { #[serde(with = "as_text")] #[message(schema = String)] pub(crate) x: u32, pub(crate) y: u32 } }
    transparent { #[serde(transparent)] pub(crate) struct Point(pub(crate) u32, #[serde(skip)] pub(crate) u8); }
}

/// Numbers as text.
mod as_text {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[test]
fn names_are_those_of_the_bytes() {
    let (x, y) = (1, 300);
    let plain = plain::Point { x, y };
    assert_eq!(description::<plain::Point>(), "Point{x:u32,y:u32}");
    // The same names at the same places: the same type.
    assert_eq!(fingerprint::<swapped::Point>(), fingerprint::<plain::Point>());
    assert_eq!(exact(&swapped::Point { a: x, b: y }), exact(&plain));
    // The same bytes mean another point.
    assert_eq!(description::<renamed::Point>(), "Point{y:u32,x:u32}");
    assert_ne!(fingerprint::<renamed::Point>(), fingerprint::<plain::Point>());
    assert_eq!(description::<shouted::Point>(), "Point{X:u32,Y:u32}");
    // Only what is serialized counts.
    assert_eq!(fingerprint::<read_otherwise::Point>(), fingerprint::<plain::Point>());
    assert_eq!(read_otherwise::Point::message_type().schema().to_string(), "Point{x:u32,y:u32}");
}

#[test]
fn a_skipped_field_is_not_in_the_bytes() {
    assert_eq!(fingerprint::<skipped::Point>(), fingerprint::<plain::Point>());
    assert_eq!(fingerprint::<skipped_in_halves::Point>(), fingerprint::<plain::Point>());
    let payload = exact(&skipped::Point { x: 1, hidden: 0, y: 2 });
    assert_eq!(payload, exact(&plain::Point { x: 1, y: 2 }));
    assert_eq!(exact(&skipped_in_halves::Point { x: 1, hidden: 0, y: 2 }), payload);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct SkippedNewtype(#[serde(skip)] u32);

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
enum SkippedVariants {
    A(#[serde(skip)] u32),
    B(#[serde(skip)] u32, #[serde(skip)] u8),
    C {
        #[serde(skip)]
        c: u32,
    },
    D(u8, #[serde(skip)] u32),
}

#[test]
fn skip_of_the_only_field_without_a_name_is_what_serde_makes_of_it() {
    // serde writes and reads it in a struct, and makes a variant one without fields.
    assert_eq!(description::<SkippedNewtype>(), "SkippedNewtype(u32)");
    assert_eq!(exact(&SkippedNewtype(300)), [0xac, 2]);
    assert_eq!(description::<SkippedVariants>(), "SkippedVariants enum{A,B(),C{},D(u8)}");
    let all = [SkippedVariants::A(0), SkippedVariants::B(0, 0), SkippedVariants::C { c: 0 }, SkippedVariants::D(7, 0)];
    assert_eq!(all.map(|message| exact(&message).len()), [1, 1, 1, 2]);
}

#[test]
fn a_type_that_is_written_as_another_has_its_schema() {
    assert_eq!(description::<texts::Point>(), "Point{x:String,y:u32}");
    exact(&texts::Point { x: 7, y: 8 });
    assert_eq!(description::<transparent::Point>(), "u32");
    assert_eq!(exact(&transparent::Point(300, 0)), [0xac, 2]);
    assert_eq!(description::<Celsius>(), "f64");
    exact(&Celsius { degrees: 21.5 });
    assert_eq!(
        description::<Shape>(),
        "Shape enum{dot,circle(String),rect{wideness:u32,h:Point#2}}; Point{x:u32,y:u32}"
    );
    for shape in [Shape::Dot, Shape::Circle(4), Shape::Rect { w: 1, h: plain::Point { x: 1, y: 2 } }] {
        exact(&shape);
    }
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[serde(transparent)]
struct Forest(Vec<Forest>);

#[test]
fn a_transparent_type_may_contain_itself() {
    assert_eq!(description::<Forest>(), "Forest([Forest#1])");
    assert_eq!(exact(&Forest(vec![Forest(vec![]), Forest(vec![Forest(vec![])])])), [2, 0, 1, 0]);
}

/// Structs with one field without a name, around a struct, and around arrays and tuples of one.
#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
enum Newtypes {
    Struct(Around<plain::Point>),
    Array(Around<[u8; 1]>),
    Tuple(Around<(u8,)>),
    Unit(Around<Nothing>),
    Twice(Around<Around<plain::Point>>),
    Skipped(AroundMore),
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Around<T>(T);

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct AroundMore(plain::Point, #[serde(skip)] u8);

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Nothing;

#[test]
fn a_newtype_may_be_around_anything() {
    let point = || plain::Point { x: 1, y: 2 };
    assert_eq!(exact(&Newtypes::Struct(Around(point()))), [0, 1, 2]);
    assert_eq!(exact(&Newtypes::Array(Around([7]))), [1, 7]);
    assert_eq!(exact(&Newtypes::Tuple(Around((7,)))), [2, 7]);
    assert_eq!(exact(&Newtypes::Unit(Around(Nothing))), [3]);
    assert_eq!(exact(&Newtypes::Twice(Around(Around(point())))), [4, 1, 2]);
    assert_eq!(exact(&Newtypes::Skipped(AroundMore(point(), 0))), [5, 1, 2]);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(from = "f64", into = "f64")]
#[message(schema = f64)]
struct Celsius {
    degrees: f64,
}

impl From<f64> for Celsius {
    fn from(degrees: f64) -> Self {
        Self { degrees }
    }
}

impl From<Celsius> for f64 {
    fn from(celsius: Celsius) -> Self {
        celsius.degrees
    }
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "camelCase", rename_all_fields = "kebab-case")]
enum Shape {
    Dot,
    #[serde(with = "as_text")]
    #[message(schema = String)]
    Circle(u32),
    Rect {
        #[serde(rename = "wideness")]
        w: u32,
        h: plain::Point,
    },
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE", rename_all_fields(serialize = "PascalCase", deserialize = "PascalCase"))]
enum Rules {
    OneTwo {
        a_field: u8,
    },
    #[serde(rename_all = "camelCase")]
    Three {
        a_field: u8,
        r#type: u8,
    },
    #[serde(rename = "FOUR", alias = "four")]
    Four(u8, u8),
    #[serde(other)]
    Other,
}

#[test]
fn names_follow_the_rules_of_serde() {
    assert_eq!(description::<Rules>(), "Rules enum{ONE-TWO{AField:u8},THREE{aField:u8,type:u8},FOUR(u8,u8),OTHER}");
    for message in
        [Rules::OneTwo { a_field: 1 }, Rules::Three { a_field: 1, r#type: 2 }, Rules::Four(3, 4), Rules::Other]
    {
        exact(&message);
    }
    macro_rules! rule {
        ($($rule:literal => $fields:literal, $variants:literal;)*) => {$({
            #[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
            #[serde(rename_all = $rule)]
            struct T { a: u8, some_name: u8, x2_y: u8 }
            assert_eq!(description::<T>(), concat!("T{", $fields, "}"));
            exact(&T { a: 1, some_name: 2, x2_y: 3 });
            #[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
            #[serde(rename_all = $rule)]
            enum E { A, SomeName, X2Y }
            assert_eq!(description::<E>(), concat!("E enum{", $variants, "}"));
            for message in [E::A, E::SomeName, E::X2Y] {
                exact(&message);
            }
        })*};
    }
    rule! {
        "lowercase" => "a:u8,some_name:u8,x2_y:u8", "a,somename,x2y";
        "UPPERCASE" => "A:u8,SOME_NAME:u8,X2_Y:u8", "A,SOMENAME,X2Y";
        "PascalCase" => "A:u8,SomeName:u8,X2Y:u8", "A,SomeName,X2Y";
        "camelCase" => "a:u8,someName:u8,x2Y:u8", "a,someName,x2Y";
        "snake_case" => "a:u8,some_name:u8,x2_y:u8", "a,some_name,x2_y";
        "SCREAMING_SNAKE_CASE" => "A:u8,SOME_NAME:u8,X2_Y:u8", "A,SOME_NAME,X2_Y";
        "kebab-case" => "a:u8,some-name:u8,x2-y:u8", "a,some-name,x2-y";
        "SCREAMING-KEBAB-CASE" => "A:u8,SOME-NAME:u8,X2-Y:u8", "A,SOME-NAME,X2-Y";
    }
}

/// A type whose `Serialize` is not what its schema says.
#[derive(PartialEq, Debug, Clone, Schema, Deserialize)]
struct Liar {
    number: u32,
}

impl Serialize for Liar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.number.into())
    }
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Report {
    lines: Vec<BTreeMap<String, Liar>>,
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct WrongSchema {
    #[serde(with = "as_text")]
    #[message(schema = u32)]
    number: u32,
}

#[test]
fn a_message_that_is_not_serialized_as_its_schema_says_is_refused_with_the_place() {
    let name = Name::new();
    let bus: Bus<Report> = Bus::on(name.create(&splinter_bus::StoreOptions::new()));
    let lines = vec![BTreeMap::new(), [("a".to_owned(), Liar { number: 1 })].into()];
    let refused = bus.publish("k", &Report { lines }).unwrap_err();
    assert!(matches!(refused, PublishError::Encode(EncodeError::Schema { .. })), "{refused:?}");
    let text = format!("{refused}{}", std::error::Error::source(&refused).map_or(String::new(), ToString::to_string));
    assert!(text.contains("`lines[1]{value}`, the schema says the struct Liar, but `Serialize` writes u64"), "{text}");
    // What is serialized as it should be may be published.
    bus.publish("k", &Report { lines: vec![BTreeMap::new()] }).unwrap();
    let error = WrongSchema { number: 1 }.check_schema(WrongSchema::message_type().schema()).unwrap_err();
    assert!(
        error.to_string().starts_with("at `number`, the schema says u32, but `Serialize` writes a string"),
        "{error}"
    );
}

/// All that only an encoding that describes itself can express.
#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(encoding = "json")]
struct Request {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    content: Content,
    #[serde(flatten)]
    more: HashMap<String, f64>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
    ImageUrl { url: String },
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Call {
    tool: String,
    arguments: Json<Vec<Content>>,
}

#[test]
fn json_carries_any_type_of_serde() {
    let parts = Content::Parts(vec![Part::Text { text: "\"ü\n".into() }, Part::ImageUrl { url: "u".into() }]);
    let request =
        Request { model: "m".into(), seed: None, content: parts.clone(), more: [("top_p".to_owned(), 0.5)].into() };
    let name = Name::new();
    let bus: Bus<Request> = Bus::on(name.create(&splinter_bus::StoreOptions::new()));
    bus.publish("k", &request).unwrap();
    assert_eq!(*bus.get("k").unwrap().unwrap(), request);
    assert_eq!(bus.sample("k").unwrap().unwrap().view().unwrap(), request);
    let ty = Request::message_type();
    assert_eq!(ty.to_string().split(',').next(), Some("Request v1 (json"));
    let payload = bus.sample("k").unwrap().unwrap().payload().to_vec();
    assert_eq!(ty.from_json(&ty.to_json(&payload).unwrap()).unwrap(), payload);
    // As a part of another message.
    let call = Call { tool: "t".into(), arguments: Json(vec![Content::Text("a".into()), parts]) };
    assert_eq!(description::<Call>(), "Call{tool:String,arguments:json<String>}");
    let payload = exact(&call);
    let json = Call::message_type().to_json(&payload).unwrap();
    assert_eq!(
        json,
        r#"{"tool":"t","arguments":["a",[{"type":"text","text":"\"ü\n"},{"type":"image_url","url":"u"}]]}"#
    );
}
