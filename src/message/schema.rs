//! What a type is made of, as a text that is the same in every program.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A type whose make-up can be told: field by field, down to numbers and strings.
///
/// Derive it, by [`#[derive(Schema)]`](macro@crate::Schema), for types inside of messages; `#[derive(Message)]` derives it too. For a type
/// of another crate, `#[message(schema = "...")]` on the field says what the derive is to write.
///
/// Types that are encoded the same way are told the same way: `String`, `&str` and `Cow<str>`, or `Vec<T>` and `&[T]`, so
/// that a receiver which borrows understands a sender which owns.
///
/// # Examples
///
/// ```
/// use splinter_bus::message::{Schema, SchemaWriter};
///
/// /// Degrees, in a crate that knows nothing of messages.
/// struct Angle(f64);
///
/// impl Schema for Angle {
///     fn describe(schema: &mut SchemaWriter) {
///         schema.named::<Self>("Angle", |schema| {
///             schema.text("(");
///             schema.of::<f64>();
///             schema.text(")");
///         });
///     }
/// }
///
/// assert_eq!(SchemaWriter::describe::<Vec<Angle>>(), "[Angle#1]; Angle(f64)");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema, so it cannot be part of a message",
    label = "the schema of this type is not known",
    note = "add `#[derive(splinter_bus::Schema)]` to `{Self}` if it is yours, or `#[message(schema = \"...\")]` to the field if it is not"
)]
pub trait Schema {
    /// Writes the type's description.
    fn describe(schema: &mut SchemaWriter);
}

/// Writes descriptions of types.
///
/// A description is a list. Each [named](Self::named) type stands in it once, with what it is made of; everywhere else its name and its
/// number stand for it. Numbers count from 1, in the order in which the list first mentions the types. So the length of a description
/// grows with the number of types and fields, however often types are used, and types may contain each other.
///
/// If the described type is not a named one, such as `Vec<User>`, it comes before the list.
///
/// A description depends on names and structure only: two types of the same name that are made of the same stand in the list once, and
/// two that are made of something else, such as `Page<User>` and `Page<Order>`, stand there twice.
///
/// # Examples
///
/// ```
/// use splinter_bus::Schema;
/// use splinter_bus::message::SchemaWriter;
///
/// #[derive(Schema)]
/// struct Person { name: String, friends: Vec<Person>, home: Place, work: Place }
///
/// #[derive(Schema)]
/// struct Place { latitude: f64, longitude: f64 }
///
/// assert_eq!(
///     SchemaWriter::describe::<Person>(),
///     "Person{name:String,friends:[Person#1],home:Place#2,work:Place#2}; Place{latitude:f64,longitude:f64}"
/// );
/// assert_eq!(SchemaWriter::describe::<Option<Place>>(), "Option<Place#1>; Place{latitude:f64,longitude:f64}");
/// ```
#[derive(Debug, Default)]
pub struct SchemaWriter {
    /// What is being written: the type that is described, or one that was named in it.
    pieces: Vec<Piece>,
    /// The named types, in the order in which they were met.
    types: Vec<NamedType>,
    /// Where each of them is in `types`.
    indices: HashMap<TypeId, usize>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// A named type, by its index in `types`.
    Type(usize),
}

#[derive(Debug)]
struct NamedType {
    name: String,
    body: Vec<Piece>,
}

impl SchemaWriter {
    /// The description of a type.
    #[must_use]
    pub fn describe<T: Schema + ?Sized>() -> String {
        let mut writer = Self::default();
        T::describe(&mut writer);
        writer.into_text()
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Writes the description of another type.
    pub fn of<T: Schema + ?Sized>(&mut self) {
        T::describe(self);
    }

    /// Writes a reference to the type `T`. When `T` is met for the first time, an entry is made for it: `name`, and what `body` writes.
    pub fn named<T: ?Sized>(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        let next = self.types.len();
        let index = *self.indices.entry(typeid::of::<T>()).or_insert(next);
        self.pieces.push(Piece::Type(index));
        if index < next {
            return;
        }
        // Entered before its body is written: the body may mention the type itself.
        self.types.push(NamedType { name: name.to_owned(), body: Vec::new() });
        let outer = mem::take(&mut self.pieces);
        body(self);
        self.types[index].body = mem::replace(&mut self.pieces, outer);
    }

    fn into_text(self) -> String {
        let mut list = List::of(&self.types);
        list.write(&self.pieces);
        if matches!(self.pieces[..], [Piece::Type(_)]) {
            // The list begins with that type: a reference to it would say nothing.
            list.text.clear();
        }
        let mut next = 0;
        while let Some(&index) = list.order.get(next) {
            if !list.text.is_empty() {
                list.text.push_str("; ");
            }
            list.text.push_str(&self.types[index].name);
            list.write(&self.types[index].body);
            next += 1;
        }
        list.text
    }
}

/// A description that is being put together.
struct List<'a> {
    types: &'a [NamedType],
    /// The class of each type; those of one class are the same.
    classes: Vec<usize>,
    /// The number of each class that was mentioned.
    numbers: Vec<Option<usize>>,
    /// A type of each of those classes, in the order of their numbers.
    order: Vec<usize>,
    text: String,
}

impl<'a> List<'a> {
    fn of(types: &'a [NamedType]) -> Self {
        let numbers = vec![None; types.len()];
        Self { types, classes: classes(types), numbers, order: Vec::new(), text: String::new() }
    }

    fn write(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match *piece {
                Piece::Text(ref text) => self.text.push_str(text),
                Piece::Type(index) => {
                    let number = *self.numbers[self.classes[index]].get_or_insert_with(|| {
                        self.order.push(index);
                        self.order.len()
                    });
                    self.text.push_str(&format!("{}#{}", self.types[index].name, number));
                }
            }
        }
    }
}

/// Puts types into classes: two are of one class if they have the same name and are made of the same, all the way down.
///
/// This is the minimisation of an automaton by refinement (Moore): types that look alike as long as nobody follows their references are of
/// one class at first; then, as long as that makes classes smaller, types whose references lead to different classes are separated.
fn classes(types: &[NamedType]) -> Vec<usize> {
    let looks = types.iter().map(|named| {
        let body = named.body.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Type(_) => None,
        });
        (named.name.as_str(), body.collect::<Vec<_>>())
    });
    let (mut classes, mut count) = numbered(looks);
    loop {
        let leads = types.iter().enumerate().map(|(index, named)| {
            let body = named.body.iter().filter_map(|piece| match piece {
                Piece::Text(_) => None,
                Piece::Type(other) => Some(classes[*other]),
            });
            (classes[index], body.collect::<Vec<_>>())
        });
        let (finer, finer_count) = numbered(leads);
        if finer_count == count {
            return classes;
        }
        (classes, count) = (finer, finer_count);
    }
}

/// A number for each item, the same for equal ones, and how many numbers there are.
fn numbered<T: Eq + Hash>(items: impl Iterator<Item = T>) -> (Vec<usize>, usize) {
    let mut numbers = HashMap::new();
    let all = items
        .map(|item| {
            let next = numbers.len();
            *numbers.entry(item).or_insert(next)
        })
        .collect();
    (all, numbers.len())
}
