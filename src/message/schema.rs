//! What a type is made of, as a text that is the same in every program.

use std::any::type_name;

/// A type whose make-up can be told: field by field, down to numbers and strings.
///
/// Derive it for types inside of messages; `#[derive(Message)]` derives it too. For a type of another crate, tell the
/// derive what to write with `#[message(schema = "...")]` on the field.
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
/// assert_eq!(SchemaWriter::describe::<Vec<Angle>>(), "[Angle(f64)]");
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
#[derive(Debug, Default)]
pub struct SchemaWriter {
    text: String,
    /// The named types that are being described, outermost first.
    open: Vec<&'static str>,
}

impl SchemaWriter {
    /// The description of a type.
    #[must_use]
    pub fn describe<T: Schema + ?Sized>() -> String {
        let mut writer = Self::default();
        T::describe(&mut writer);
        writer.text
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes the description of another type.
    pub fn of<T: Schema + ?Sized>(&mut self) {
        T::describe(self);
    }

    /// Writes a name and what `body` adds. Inside of itself, a type is written as `^` and its depth, so that types which
    /// contain themselves come to an end.
    pub fn named<T: ?Sized>(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        let this = type_name::<T>();
        if let Some(depth) = self.open.iter().position(|&open| open == this) {
            self.text.push('^');
            self.text.push_str(&depth.to_string());
            return;
        }
        self.text.push_str(name);
        self.open.push(this);
        body(self);
        self.open.pop();
    }
}
