//! Schemas: the structure of types, as a text that is the same in every program.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A type that can describe its structure: its fields, down to numbers and strings.
///
/// [`#[derive(Schema)]`](macro@crate::Schema) implements it for types inside of messages, and
/// `#[derive(Message)]` for messages. For a field whose type is from another crate,
/// `#[message(schema = "...")]` gives the description.
///
/// Types with the same encoding have the same description: `String`, `&str` and `Cow<str>`, or
/// `Vec<T>` and `&[T]`. So a receiver whose type borrows understands a sender whose type owns.
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
    note = "if `{Self}` is a type of your crate, add `#[derive(splinter_bus::Schema)]` to it; otherwise add `#[message(schema = \"...\")]` to the field"
)]
pub trait Schema {
    /// Writes the type's description.
    fn describe(schema: &mut SchemaWriter);
}

/// Writes descriptions of types.
///
/// A description is a list of definitions. Each [named](Self::named) type is defined once; all its
/// uses are its name and its number. Numbers count from 1, in the order in which the list first
/// mentions the types. So a description is as long as the definitions together, however often types
/// are used, and types can contain each other.
///
/// If the described type has no name of its own, such as `Vec<User>`, its description comes before
/// the list.
///
/// A description depends on names and structure only. Two types with the same name and structure
/// are defined once. Two types with the same name and another structure, such as `Page<User>` and
/// `Page<Order>`, are two definitions.
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
    /// What is written now: the described type, or the definition of a named type.
    pieces: Vec<Piece>,
    /// The named types, in the order of their first use.
    types: Vec<NamedType>,
    /// The index in `types` of each named type.
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
    /// Returns the description of a type.
    #[must_use]
    pub fn describe<T: Schema + ?Sized>() -> String {
        let mut writer = Self::default();
        T::describe(&mut writer);
        writer.into_text()
    }

    /// Writes text without changes.
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

    /// Writes a reference to the type `T`. At its first use, adds a definition: `name`, followed by
    /// what `body` writes.
    pub fn named<T: ?Sized>(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        let next = self.types.len();
        let index = *self.indices.entry(typeid::of::<T>()).or_insert(next);
        self.pieces.push(Piece::Type(index));
        if index < next {
            return;
        }
        // The type is added before its body is written, because the body may mention the type
        // itself.
        self.types.push(NamedType { name: name.to_owned(), body: Vec::new() });
        let outer = mem::take(&mut self.pieces);
        body(self);
        self.types[index].body = mem::replace(&mut self.pieces, outer);
    }

    fn into_text(self) -> String {
        let mut list = List::of(&self.types);
        list.write(&self.pieces);
        if matches!(self.pieces[..], [Piece::Type(_)]) {
            // The definition of that type begins the list, so a reference before it is not needed.
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

/// A description in the making.
struct List<'a> {
    types: &'a [NamedType],
    /// The class of each type. Types of one class have the same definition.
    classes: Vec<usize>,
    /// The number of each class that was mentioned.
    numbers: Vec<Option<usize>>,
    /// One type of each of these classes, in the order of their numbers.
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

/// Divides types into classes. Two types are in one class if they have the same name and structure,
/// including the types that they use.
///
/// This is Moore's algorithm, which minimises an automaton by refinement. At first, types are in
/// one class if they are equal without their references. Then types are separated if their
/// references lead to different classes, until no class is divided any more.
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

/// Numbers the items, with one number for equal items; and returns how many numbers there are.
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
