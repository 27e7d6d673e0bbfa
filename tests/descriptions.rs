//! Descriptions of types: a list that contains each type once.

#![allow(dead_code, reason = "types that are only described")]

use splinter_bus::schema::{Schema, SchemaWriter};
use splinter_bus::{Message, Schema};

fn describe<T: Schema + ?Sized>() -> String {
    SchemaWriter::table_of::<T>().to_string()
}

/// Types that all contain each other.
macro_rules! mutual {
    ($($name:ident)*) => {
        mutual!(@ [$($name)*] $($name)*);
    };
    (@ $all:tt $($name:ident)*) => {
        $(mutual!(# $name $all);)*
    };
    (# $name:ident [$($field:ident)*]) => {
        #[derive(splinter_bus::Schema)]
        #[allow(non_snake_case)]
        pub(crate) struct $name { $($field: Option<Box<$field>>),* }
    };
}

mod nine {
    mutual!(A B C D E F G H I);
}

mod thirty {
    mutual!(A B C D E F G H I J K L M N O P Q R S T U V W X Y Z AA AB AC AD);
}

#[test]
fn a_description_grows_with_the_number_of_fields_even_if_types_contain_each_other() {
    // A field takes at most `AA:Option<AA#30>,`. Each type has as many fields as there are types, a
    // name, and braces.
    let bound = |types: usize| types * (types * "AA:Option<AA#30>,".len() + "AA{}; ".len());
    for (types, description) in [(9, describe::<nine::A>()), (30, describe::<thirty::A>())] {
        assert!(description.len() < bound(types), "{types} types: {} bytes", description.len());
        assert_eq!(description.matches('{').count(), types, "{description}");
    }
}

/// Types that each contain the next lower one twice.
macro_rules! ladder {
    ($($upper:ident $lower:ident),*) => {
        $(#[derive(Schema)]
        struct $upper { l: $lower, r: $lower })*
    };
}

#[derive(Schema)]
struct L0 {
    v: u8,
}

ladder!(L1 L0, L2 L1, L3 L2, L4 L3, L5 L4, L6 L5, L7 L6, L8 L7, L9 L8, L10 L9);

#[test]
fn a_type_that_is_used_often_is_described_once() {
    assert_eq!(describe::<L2>(), "L2{l:L1#2,r:L1#2}; L1{l:L0#3,r:L0#3}; L0{v:u8}");
    assert!(describe::<L10>().len() < 11 * "L10{l:L10#10,r:L10#10}; ".len());
}

mod one {
    #[derive(splinter_bus::Schema)]
    pub(crate) struct Place {
        name: String,
    }
}

mod other {
    #[derive(splinter_bus::Schema)]
    pub(crate) struct Place {
        latitude: f64,
        longitude: f64,
    }
}

mod twin {
    #[derive(splinter_bus::Schema)]
    pub(crate) struct Place {
        name: String,
    }
}

#[derive(Schema)]
struct Two<A, B> {
    a: A,
    b: B,
}

#[test]
fn types_of_the_same_name_are_different_unless_their_fields_are_the_same() {
    assert_eq!(
        describe::<Two<one::Place, other::Place>>(),
        "Two<Place, Place>{a:Place#2,b:Place#3}; Place{name:String}; Place{latitude:f64,longitude:f64}"
    );
    assert_eq!(
        describe::<Two<one::Place, twin::Place>>(),
        "Two<Place, Place>{a:Place#2,b:Place#2}; Place{name:String}"
    );
    assert_eq!(describe::<Two<one::Place, twin::Place>>(), describe::<Two<twin::Place, twin::Place>>());
}

#[test]
fn different_types_with_the_same_path_are_different() {
    // The compiler names both `descriptions::different_types_..._same_path::Local`.
    let first = {
        #[derive(Schema)]
        struct Local(u8);
        describe::<Two<Local, Vec<Local>>>
    };
    {
        #[derive(Schema)]
        struct Local(u16);
        fn both<T: Schema, U: Schema>(_: fn() -> String, _: U, _: T) -> String {
            describe::<Two<T, U>>()
        }
        assert_eq!(first(), "Two<Local, Vec<Local>>{a:Local#2,b:[Local#2]}; Local(u8)");
        let second = describe::<Two<Local, Vec<Local>>>();
        assert_eq!(second, "Two<Local, Vec<Local>>{a:Local#2,b:[Local#2]}; Local(u16)");
        let outer = Local(2);
        {
            #[derive(Schema)]
            struct Local(i64);
            assert_eq!(both(first, outer, Local(1)), "Two<Local, Local>{a:Local#2,b:Local#3}; Local(i64); Local(u16)");
        }
    }
}

#[derive(Schema)]
struct Page<T> {
    items: Vec<T>,
    next: Option<Box<Page<T>>>,
}

#[derive(Schema)]
struct User {
    orders: Page<Order>,
}

#[derive(Schema)]
struct Order {
    buyers: Page<User>,
}

#[test]
fn a_generic_type_is_described_once_for_each_of_its_arguments() {
    assert_eq!(
        describe::<Two<Page<User>, Page<Order>>>(),
        "Two<Page<User>, Page<Order>>{a:Page<User>#2,b:Page<Order>#3}; \
         Page<User>{items:[User#4],next:Option<Page<User>#2>}; \
         Page<Order>{items:[Order#5],next:Option<Page<Order>#3>}; \
         User{orders:Page<Order>#3}; \
         Order{buyers:Page<User>#2}"
    );
}

#[test]
fn a_description_starts_with_the_described_type() {
    assert_eq!(
        describe::<User>(),
        "User{orders:Page<Order>#2}; Page<Order>{items:[Order#3],next:Option<Page<Order>#2>}; \
         Order{buyers:Page<User>#4}; Page<User>{items:[User#1],next:Option<Page<User>#4>}"
    );
    assert!(describe::<Order>().starts_with("Order{buyers:Page<User>#2}; Page<User>{items:[User#3],"));
}

#[test]
fn an_unnamed_type_is_described_before_the_list() {
    assert_eq!(describe::<Vec<(L0, u8, L0)>>(), "[(L0#1,u8,L0#1)]; L0{v:u8}");
    assert_eq!(describe::<Box<L0>>(), describe::<L0>());
    assert_eq!(describe::<&[u8]>(), "[u8]");
}

/// Types of the same name and field: one owns its text, the other may borrow it.
mod parts {
    use std::borrow::Cow;

    #[derive(splinter_bus::Schema)]
    #[message(name = "Part")]
    pub(crate) struct Owned {
        text: String,
    }

    #[derive(splinter_bus::Schema)]
    #[message(name = "Part")]
    pub(crate) struct Borrowed<'a> {
        text: Cow<'a, str>,
    }
}

#[test]
fn a_type_that_borrows_some_fields_is_described_like_one_that_owns_all() {
    let owned = describe::<Two<parts::Owned, parts::Owned>>();
    assert_eq!(describe::<Two<parts::Owned, parts::Borrowed<'_>>>(), owned);
    assert_eq!(describe::<Two<parts::Borrowed<'_>, parts::Borrowed<'_>>>(), owned);
}

/// Lists of the same structure: one type contains itself, and two types contain each other.
mod lists {
    #[derive(splinter_bus::Schema)]
    #[message(name = "List")]
    pub(crate) struct One {
        next: Option<Box<One>>,
    }

    #[derive(splinter_bus::Schema)]
    #[message(name = "List")]
    pub(crate) struct Even {
        next: Option<Box<Odd>>,
    }

    #[derive(splinter_bus::Schema)]
    #[message(name = "List")]
    pub(crate) struct Odd {
        next: Option<Box<Even>>,
    }
}

#[test]
fn types_with_the_same_encoding_have_the_same_description() {
    assert_eq!(describe::<lists::One>(), "List{next:Option<List#1>}");
    assert_eq!(describe::<lists::Even>(), describe::<lists::One>());
}

mod user {
    /// A type with the name of one of the standard library.
    #[derive(splinter_bus::Schema)]
    pub(crate) struct String {
        bytes: [u8; 8],
    }
}

#[test]
fn a_type_with_a_name_of_the_standard_library_is_a_different_type() {
    let (one, other) = (describe::<Two<String, user::String>>(), describe::<Two<user::String, String>>());
    assert_eq!(one, "Two<String, String>{a:String,b:String#2}; String{bytes:[u8;8]}");
    assert_eq!(other, "Two<String, String>{a:String#2,b:String}; String{bytes:[u8;8]}");
}

const ONE: u8 = 1;

#[derive(Schema, Clone, Copy)]
#[repr(u8)]
enum Spelled {
    A = ONE,
    B = !1,
    C,
}

#[derive(Schema, Clone, Copy)]
#[message(name = "Spelled")]
#[repr(u8)]
enum Plain {
    A = 1,
    B = 254,
    C,
}

#[test]
fn an_enum_is_described_by_the_values_of_its_discriminants() {
    assert_eq!(describe::<Spelled>(), "Spelled enum{A=1,B=254,C=255}");
    assert_eq!(describe::<Plain>(), describe::<Spelled>());
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Envelope {
    first: Stop,
    last: Stop,
}

#[derive(Schema, serde::Serialize, serde::Deserialize)]
struct Stop {
    name: String,
}

#[test]
fn fingerprints_of_nested_types_do_not_change() {
    // Programs built years apart must agree on this value.
    let envelope = Envelope::message_type();
    assert_eq!(envelope.description(), "Envelope{first:Stop#2,last:Stop#2}; Stop{name:String}");
    assert_eq!(envelope.to_string(), "Envelope v1 (postcard, fingerprint cab4a1fe20229100)");
}
