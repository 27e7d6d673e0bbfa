//! The derives for types of every shape, in every encoding, and which types count as the same.

// The derive must work whatever names the surrounding module uses.
#![allow(
    dead_code,
    non_camel_case_types,
    reason = "types of which only the description is used, and names that shadow common ones"
)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;

use bytemuck::{CheckedBitPattern, NoUninit, Pod, Zeroable};
use serde::{Deserialize, Serialize};
use splinter_bus::frame::{Encoding, Kind};
use splinter_bus::message::{Decode, DecodeError, MessageType};
use splinter_bus::schema::Schema;
use splinter_bus::{Message, Schema};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

fn round_trip<T: Message + for<'de> Decode<'de> + PartialEq + Debug>(message: &T) -> Vec<u8> {
    let mut payload = vec![];
    message.encode(&mut payload).unwrap();
    assert_eq!(&T::decode(&payload).unwrap(), message);
    payload
}

fn fingerprint<T: Message>() -> u64 {
    T::message_type().fingerprint()
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(kind = "query", name = "llm.Prompt", version = 3)]
struct Prompt {
    text: String,
    options: Options,
    tags: Vec<(u8, Option<String>)>,
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Options {
    r#type: Sampling,
    limits: HashMap<String, f32>,
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
enum Sampling {
    Greedy,
    TopK(u32),
    Nucleus { p: f32 },
}

#[test]
fn attributes_become_constants() {
    assert_eq!((Prompt::NAME, Prompt::VERSION), ("llm.Prompt", 3));
    assert_eq!(Prompt::KIND, Kind::Query);
    assert_eq!((Fixed::NAME, Fixed::VERSION, Fixed::KIND), ("Fixed", 1, Kind::Event));
    assert_eq!((Prompt::ENCODING, Fixed::ENCODING), (Encoding::Postcard, Encoding::Zerocopy));
}

#[test]
fn a_description_contains_the_types_of_all_fields() {
    assert_eq!(
        Prompt::message_type().description(),
        "llm.Prompt{text:String,options:Options#2,tags:[(u8,Option<String>)]}; \
         Options{type:Sampling#3,limits:map[String=>f32]}; \
         Sampling enum{Greedy,TopK(u32),Nucleus{p:f32}}"
    );
}

#[test]
fn postcard_carries_strings_vectors_and_enums() {
    let limits = HashMap::from([("top".to_owned(), 0.5)]);
    let options = Options { r#type: Sampling::Nucleus { p: 0.25 }, limits };
    let payload =
        round_trip(&Prompt { text: "Wie geht’s?".into(), options, tags: vec![(1, None), (2, Some("x".into()))] });
    let longer = [&payload[..], &[0]].concat();
    assert_eq!(Prompt::decode(&longer), Err(DecodeError::TrailingBytes { left: 1 }));
    assert!(matches!(Prompt::decode(&payload[..3]), Err(DecodeError::Postcard(_))));
}

#[derive(Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Fixed {
    number: u32,
    state: State,
    good: bool,
    rest: [u8; 2],
}

#[derive(Schema, TryFromBytes, IntoBytes, Immutable, KnownLayout, PartialEq, Debug, Clone, Copy)]
#[repr(u8)]
enum State {
    On = 1,
    Off = 2,
}

#[test]
fn zerocopy_carries_bools_and_enums_and_refuses_invalid_bytes() {
    let mut payload = round_trip(&Fixed { number: 7, state: State::Off, good: true, rest: [8, 9] });
    assert_eq!(payload, [7, 0, 0, 0, 2, 1, 8, 9]);
    payload[4] = 3;
    assert_eq!(Fixed::decode(&payload), Err(DecodeError::Invalid));
    assert_eq!(Fixed::decode(&payload[..7]), Err(DecodeError::Length { expected: 8, found: 7 }));
    assert_eq!(
        Fixed::message_type().description(),
        "Fixed{number:u32,state:State#2,good:bool,rest:[u8;2]} [size 8, align 4, fields at 0,4,5,6]; \
         State enum{On=1,Off=2} [size 1, align 1, repr u8]"
    );
}

#[derive(Message, Pod, Zeroable, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "bytemuck")]
#[repr(C)]
struct Vector(f32, f32, f32);

#[derive(Message, NoUninit, CheckedBitPattern, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "bytemuck")]
#[repr(u8)]
enum Light {
    Red = 1,
    Green = 2,
}

#[test]
fn bytemuck_carries_pods_and_checked_enums() {
    assert_eq!(round_trip(&Vector(1.0, -2.0, 0.5)).len(), 12);
    assert_eq!(round_trip(&Light::Green), [2]);
    assert_eq!(Light::decode(&[0]), Err(DecodeError::Invalid));
    assert_eq!(Vector::decode(&[0]), Err(DecodeError::Length { expected: 12, found: 1 }));
}

/// Borrows from the payload it is decoded from.
#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(name = "Text")]
struct Borrowed<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    bytes: &'a [u8],
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(name = "Text")]
struct Owned {
    text: String,
    bytes: Vec<u8>,
}

#[test]
fn a_type_that_borrows_is_the_same_message_as_one_that_owns() {
    assert_eq!(fingerprint::<Borrowed<'_>>(), fingerprint::<Owned>());
    let payload = round_trip(&Owned { text: "sky".into(), bytes: vec![1, 2] });
    let borrowed = Borrowed::decode(&payload).unwrap();
    assert_eq!(borrowed, Borrowed { text: "sky".into(), bytes: &[1, 2] });
    assert!(payload.as_ptr_range().contains(&borrowed.bytes.as_ptr()), "it was copied");
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Wrapped<T, const N: usize>
where
    T: Clone,
{
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    item: Vec<T>,
    size: Size<N>,
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Size<const N: usize>;

#[test]
fn generic_types_are_messages_if_their_arguments_can_be_encoded() {
    round_trip(&Wrapped::<String, 2> { item: vec!["a".into()], size: Size });
    assert_ne!(fingerprint::<Wrapped<u32, 2>>(), fingerprint::<Wrapped<i32, 2>>());
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(name = "shop.Page")]
struct Page<T> {
    items: Vec<T>,
    next: Option<Box<Page<T>>>,
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Line<'a, T, const WIDE: bool, const END: char> {
    text: &'a str,
    more: T,
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[serde(transparent)]
struct Ids<T>(Vec<T>);

/// A type whose argument contains it.
#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
#[message(name = "User")]
struct Friend {
    friends: Option<Box<Page<Friend>>>,
}

fn name<T: Message>() -> std::string::String {
    let name = T::message_type().name().to_owned();
    assert_eq!(name, T::name());
    name
}

#[test]
fn a_generic_message_is_named_with_its_arguments() {
    assert_eq!((Page::<u32>::NAME, Prompt::name()), ("shop.Page", "llm.Prompt".into()));
    assert_eq!(name::<Page<Prompt>>(), "shop.Page<llm.Prompt>");
    assert_eq!(name::<Page<Friend>>(), "shop.Page<User>");
    assert_eq!(
        Page::<Friend>::message_type().description(),
        "shop.Page<User>{items:[User#2],next:Option<shop.Page<User>#1>}; User{friends:Option<shop.Page<User>#1>}"
    );
    assert_eq!(name::<Page<Page<Vec<Option<i8>>>>>(), "shop.Page<shop.Page<Vec<Option<i8>>>>");
    assert_eq!(name::<Wrapped<(u8, [char; 2], HashMap<bool, ()>), 7>>(), "Wrapped<(u8, [char; 2], Map<bool, ()>), 7>");
    assert_eq!(name::<Line<'_, std::collections::BTreeSet<f32>, true, 'x'>>(), "Line<Set<f32>, true, 'x'>");
    assert_eq!(name::<Page<(std::num::NonZero<u8>,)>>(), "shop.Page<(NonZero<u8>,)>");
    // A type that is encoded as another one has its name there.
    assert_eq!(name::<Ids<u64>>(), "Ids<u64>");
    assert_eq!(name::<Page<Ids<u64>>>(), "shop.Page<Vec<u64>>");
    assert_eq!(name::<Page<Box<std::string::String>>>(), name::<Page<Cow<'_, str>>>());
    assert_eq!(name::<Page<Result<u8, std::ops::Range<u16>>>>(), "shop.Page<Result<u8, Range<u16>>>");
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
enum Tree {
    Leaf(u32),
    Node(Box<(Tree, Tree)>),
    Forest { trees: Vec<Grove> },
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Grove {
    trees: Vec<Tree>,
}

#[test]
fn the_description_of_a_recursive_type_is_finite() {
    let leaf = || Tree::Leaf(1);
    round_trip(&Tree::Node(Box::new((leaf(), Tree::Forest { trees: vec![Grove { trees: vec![leaf()] }] }))));
    assert_eq!(
        Tree::message_type().description(),
        "Tree enum{Leaf(u32),Node((Tree#1,Tree#1)),Forest{trees:[Grove#2]}}; Grove{trees:[Tree#1]}"
    );
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(kind = "heartbeat")]
struct Alive;

#[test]
fn a_heartbeat_has_an_empty_payload() {
    assert!(round_trip(&Alive).is_empty());
}

/// A type of another crate that does not implement `Schema`.
#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Foreign {
    #[message(schema = std::ops::Bound<u32>)]
    bound: std::ops::Bound<u32>,
}

#[test]
fn a_field_of_a_foreign_type_is_described_by_its_attribute() {
    round_trip(&Foreign { bound: std::ops::Bound::Included(3) });
    assert_eq!(
        Foreign::message_type().description(),
        "Foreign{bound:Bound<u32>#2}; Bound<u32> enum{Unbounded,Included(u32),Excluded(u32)}"
    );
}

/// Modules with variations of one type.
macro_rules! variant {
    ($module:ident, [$($attribute:tt)*], $($field:ident: $type:ty),*) => {
        mod $module {
            #[derive(splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
                zerocopy::KnownLayout, bytemuck::Pod, bytemuck::Zeroable, Clone, Copy)]
            #[message($($attribute)*)]
            #[repr(C)]
            pub(crate) struct Point { $(pub(crate) $field: $type),* }
        }
    };
}

variant!(original, [encoding = "zerocopy"], x: u32, y: i32);
variant!(copy, [encoding = "zerocopy"], x: u32, y: i32);
variant!(swapped, [encoding = "zerocopy"], y: i32, x: u32);
variant!(renamed, [encoding = "zerocopy"], x: u32, z: i32);
variant!(retyped, [encoding = "zerocopy"], x: u32, y: u32);
variant!(newer, [encoding = "zerocopy", version = 2], x: u32, y: i32);
variant!(recoded, [encoding = "bytemuck"], x: u32, y: i32);
variant!(other_name, [encoding = "zerocopy", name = "Spot"], x: u32, y: i32);

#[test]
fn equal_structs_are_one_type_and_any_difference_makes_two() {
    let original = original::Point::message_type();
    assert_eq!(original, copy::Point::message_type());
    let others: [MessageType; 6] = [
        swapped::Point::message_type(),
        renamed::Point::message_type(),
        retyped::Point::message_type(),
        newer::Point::message_type(),
        recoded::Point::message_type(),
        other_name::Point::message_type(),
    ];
    for other in &others {
        assert_ne!(original.fingerprint(), other.fingerprint(), "{other}");
    }
}

#[test]
fn fingerprints_do_not_change() {
    // Programs built years apart must agree on this value.
    assert_eq!(original::Point::message_type().to_string(), "Point v1 (zerocopy, fingerprint b6794ac3f58aa7e1)");
}

/// A module in which every common name has another meaning.
mod hostile {
    use ::splinter_bus as other;

    type Result = ();
    type Option = ();
    type Vec = ();
    type String = ();
    mod core {}
    mod std {}
    mod splinter_bus {}

    #[derive(other::Message, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    #[message(crate = "other", kind = "query")]
    pub(crate) struct Unmoved {
        pub(crate) schema: i32,
        pub(crate) payload: bool,
    }

    #[derive(other::Message, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    #[message(crate = "other")]
    pub(crate) enum Either<T> {
        This(T),
        That { body: i64 },
    }
}

#[test]
fn derived_code_works_whatever_the_names_in_the_users_module() {
    round_trip(&hostile::Unmoved { schema: 1, payload: true });
    round_trip(&hostile::Either::This(3_i16));
}

#[test]
fn types_that_are_not_messages_can_have_a_schema() {
    fn schema<T: Schema>() -> std::string::String {
        splinter_bus::schema::SchemaWriter::table_of::<T>().to_string()
    }
    assert_eq!(schema::<Size<3>>(), "Size<3>");
    assert!(schema::<Options>().starts_with("Options{type:Sampling#2,"));
}
