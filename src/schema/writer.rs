//! Writing the schemas of Rust types.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;

use super::name;
use super::table::{
    Enum, EnumLayout, Field, Fields, Index, Node, Number, Struct, StructLayout, StructReader, Table, Variant,
    VariantReader,
};

/// A type that can describe its structure: its fields, down to numbers and strings.
///
/// [`#[derive(Schema)]`](macro@crate::Schema) implements it for types inside of messages, and
/// `#[derive(Message)]` for messages. Features of splinter-bus implement it for types of other crates:
/// `bytes`, `chrono`, `indexmap`, `serde_bytes`, `time`, `url`, `uuid`. For a field of another type, name one with
/// the same encoding: `#[message(schema = Type)]`.
///
/// Types with the same encoding have the same schema: `String`, `&str` and `Cow<str>`, or `Vec<T>` and
/// `&[T]`. So a receiver whose type borrows understands a sender whose type owns.
///
/// # Examples
///
/// ```
/// use splinter_bus::schema::{Schema, SchemaWriter, TypeRef};
///
/// /// Degrees, serialized as a number.
/// struct Angle(f64);
///
/// impl Schema for Angle {
///     fn describe(schema: &mut SchemaWriter) -> TypeRef {
///         schema.of::<f64>()
///     }
/// }
///
/// assert_eq!(SchemaWriter::table_of::<Vec<Angle>>().to_string(), "[f64]");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no schema, so it cannot be part of a message",
    label = "the schema of this type is not known",
    note = "if `{Self}` is a type of your crate, add `#[derive(splinter_bus::Schema)]` to it",
    note = "otherwise name a type that has the same encoding, `#[message(schema = Type)]`; or enable the feature of splinter-bus for \
            its crate; or wrap it in `splinter_bus::message::Json`"
)]
pub trait Schema {
    /// Describes the type, by one method of `schema`, and returns what that returned.
    fn describe(schema: &mut SchemaWriter) -> TypeRef;
}

/// A type that was described to a [`SchemaWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRef(Index);

/// Collects the schema of a type: the types that it consists of.
///
/// # Examples
///
/// ```
/// use splinter_bus::Schema;
/// use splinter_bus::schema::SchemaWriter;
///
/// #[derive(Schema)]
/// struct Person { name: String, friends: Vec<Person>, home: Place, work: Place }
///
/// #[derive(Schema)]
/// struct Place { latitude: f64, longitude: f64 }
///
/// assert_eq!(
///     SchemaWriter::table_of::<Person>().to_string(),
///     "Person{name:String,friends:[Person#1],home:Place#2,work:Place#2}; Place{latitude:f64,longitude:f64}"
/// );
/// ```
#[derive(Debug, Default)]
pub struct SchemaWriter {
    /// `None`: it is being described.
    nodes: Vec<Option<Node>>,
    named: HashMap<TypeId, Index>,
    /// The names of structs and enums, also of those that are being described.
    names: HashMap<Index, String>,
    /// Types that are being described as others, and where they are if they were mentioned meanwhile.
    open: HashMap<TypeId, Option<Index>>,
    /// Types without a name, so that each is added once.
    unnamed: HashMap<Node, Index>,
    /// Whether values are their own bytes, so that the schema says where each field is.
    is_plain: bool,
}

impl SchemaWriter {
    /// The schema of a type that serde encodes.
    #[must_use]
    pub fn table_of<T: Schema + ?Sized>() -> Table {
        Self::default().into_table_of::<T>()
    }

    /// The schema of a type whose values are their own bytes.
    pub(crate) fn plain_table_of<T: Schema + ?Sized>() -> Table {
        Self { is_plain: true, ..Self::default() }.into_table_of::<T>()
    }

    fn into_table_of<T: Schema + ?Sized>(mut self) -> Table {
        let TypeRef(root) = self.of::<T>();
        // None is left open: each was described before it was returned.
        let nodes: Vec<_> = self.nodes.into_iter().map(|node| node.unwrap_or(Node::Unit)).collect();
        Table::normal(&nodes, root)
    }

    /// Another type.
    pub fn of<T: Schema + ?Sized>(&mut self) -> TypeRef {
        T::describe(self)
    }

    /// The name of a generic type with its arguments, for [`structure`](Self::structure) and
    /// [`enumeration`](Self::enumeration). The name of each argument is from [`name_of`](Self::name_of).
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::schema::{FieldList, Schema, SchemaWriter, TypeRef};
    ///
    /// struct Pair<T>(T, T);
    ///
    /// impl<T: Schema> Schema for Pair<T> {
    ///     fn describe(schema: &mut SchemaWriter) -> TypeRef {
    ///         let name = SchemaWriter::generic_name("Pair", &[schema.name_of::<T>()]);
    ///         schema.structure::<Self>(&name, |schema| FieldList::tuple([schema.of::<T>(), schema.of::<T>()]))
    ///     }
    /// }
    ///
    /// assert_eq!(SchemaWriter::table_of::<Pair<Vec<&str>>>().to_string(), "Pair<Vec<String>>([String],[String])");
    /// ```
    #[must_use]
    pub fn generic_name(name: &str, arguments: &[String]) -> String {
        name::generic(name, arguments)
    }

    /// The name of the type `T` as the argument of a generic one. Structs and enums have the name of their
    /// schema, and other types that of their encoding: `u32`, `String`, `Vec<User>`, `Map<String, u32>`.
    pub fn name_of<T: Schema + ?Sized>(&mut self) -> String {
        let TypeRef(index) = self.of::<T>();
        name::name(&self.nodes, &self.names, index)
    }

    /// The name of the argument of a const generic. For derived code.
    #[doc(hidden)]
    pub fn name_of_constant<T: fmt::Debug>(constant: T) -> String {
        format!("{constant:?}")
    }

    /// The type `T`, whose values are encoded as those of `As`. It has the schema of `As`, unless that
    /// mentions `T`: then it is a struct of this name around it.
    pub fn same_as<T: ?Sized, As: Schema + ?Sized>(&mut self, name: &str) -> TypeRef {
        let id = typeid::of::<T>();
        if let Some(place) = self.open.get_mut(&id) {
            let index = *place.get_or_insert_with(|| {
                self.nodes.push(None);
                self.nodes.len() as Index - 1
            });
            self.names.insert(index, name.to_owned());
            return TypeRef(index);
        }
        self.open.insert(id, None);
        let inner = self.of::<As>();
        let Some(Some(index)) = self.open.remove(&id) else { return inner };
        let (name, fields) = (name.to_owned(), Fields::Tuple(vec![inner.0]));
        self.nodes[index as usize] = Some(Node::Struct(Struct { name, fields, layout: None, reader: None }));
        TypeRef(index)
    }

    /// A value that may be missing.
    pub fn option(&mut self, TypeRef(item): TypeRef) -> TypeRef {
        self.unnamed(Node::Option(item))
    }

    /// Any number of values.
    pub fn sequence(&mut self, TypeRef(item): TypeRef) -> TypeRef {
        self.unnamed(Node::Sequence(item))
    }

    /// Any number of keys with values.
    pub fn map(&mut self, TypeRef(key): TypeRef, TypeRef(value): TypeRef) -> TypeRef {
        self.unnamed(Node::Map(key, value))
    }

    /// This number of values.
    pub fn array(&mut self, TypeRef(item): TypeRef, len: usize) -> TypeRef {
        self.unnamed(Node::Array(item, len as u64))
    }

    /// These values, one after the other.
    pub fn tuple(&mut self, items: &[TypeRef]) -> TypeRef {
        self.unnamed(Node::Tuple(items.iter().map(|item| item.0).collect()))
    }

    /// Any number of bytes, by `serialize_bytes`.
    pub fn bytes(&mut self) -> TypeRef {
        self.unnamed(Node::Bytes)
    }

    /// JSON text, whose structure no schema says.
    pub fn json(&mut self) -> TypeRef {
        let text = self.of::<str>();
        self.logical("json", text)
    }

    /// A type whose values mean more than their encoding says. Types with another name have another
    /// fingerprint. It is read and shown as `wire`.
    pub fn logical(&mut self, name: &str, TypeRef(wire): TypeRef) -> TypeRef {
        self.unnamed(Node::Logical { name: name.to_owned(), wire })
    }

    /// The struct `T`, under this name. `fields` is called at its first use, and may mention `T` itself.
    pub fn structure<T: ?Sized>(&mut self, name: &str, fields: impl FnOnce(&mut Self) -> FieldList) -> TypeRef {
        self.named::<T>(name, |schema| {
            let FieldList { fields, reader } = fields(schema);
            Node::Struct(Struct { name: name.to_owned(), fields, layout: None, reader })
        })
    }

    /// The enum `T`, under this name. `variants` is called at its first use, and may mention `T` itself.
    pub fn enumeration<T: ?Sized, V: IntoIterator<Item = VariantItem>>(
        &mut self,
        name: &str,
        variants: impl FnOnce(&mut Self) -> V,
    ) -> TypeRef {
        self.named::<T>(name, |schema| {
            let variants = variants(schema).into_iter().enumerate();
            let variants = variants.map(|(place, VariantItem(mut variant))| {
                variant.discriminant = variant.discriminant.filter(|&value| value != place as i128);
                variant
            });
            Node::Enum(Enum { name: name.to_owned(), variants: variants.collect(), layout: None })
        })
    }

    /// Adds where the fields of a plain struct are. For derived code.
    #[doc(hidden)]
    pub fn layout_of_structure<T>(&mut self, TypeRef(index): TypeRef, offsets: &[usize]) {
        if self.is_plain
            && let Some(Some(Node::Struct(this))) = self.nodes.get_mut(index as usize)
        {
            let offsets = offsets.iter().map(|&offset| offset as u64).collect();
            this.layout = Some(StructLayout { size: size_of::<T>() as u64, align: align_of::<T>() as u64, offsets });
        }
    }

    /// Adds how the variants of a plain enum lie in memory. For derived code.
    #[doc(hidden)]
    pub fn layout_of_enumeration<T, Tag: Schema>(&mut self, TypeRef(index): TypeRef, is_c: bool) {
        if !self.is_plain {
            return;
        }
        let TypeRef(tag) = self.of::<Tag>();
        let Some(Node::Number(tag)) = self.nodes[tag as usize] else { return };
        if let Some(Some(Node::Enum(this))) = self.nodes.get_mut(index as usize) {
            this.layout = Some(EnumLayout { size: size_of::<T>() as u64, align: align_of::<T>() as u64, tag, is_c });
        }
    }

    /// Whether values are their own bytes.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    pub(crate) fn leaf(&mut self, node: Node) -> TypeRef {
        self.unnamed(node)
    }

    pub(crate) fn number(&mut self, number: Number) -> TypeRef {
        self.unnamed(Node::Number(number))
    }

    fn unnamed(&mut self, node: Node) -> TypeRef {
        let next = self.nodes.len() as Index;
        let index = *self.unnamed.entry(node.clone()).or_insert(next);
        if index == next {
            self.nodes.push(Some(node));
        }
        TypeRef(index)
    }

    fn named<T: ?Sized>(&mut self, name: &str, node: impl FnOnce(&mut Self) -> Node) -> TypeRef {
        let next = self.nodes.len() as Index;
        let index = *self.named.entry(typeid::of::<T>()).or_insert(next);
        if index == next {
            // Added before its fields are described, because they may mention the type itself.
            self.nodes.push(None);
            self.names.insert(index, name.to_owned());
            let node = node(self);
            self.nodes[index as usize] = Some(node);
        }
        TypeRef(index)
    }
}

/// The fields of a struct or a variant.
#[derive(Debug)]
pub struct FieldList {
    fields: Fields,
    reader: Option<StructReader>,
}

impl FieldList {
    /// No fields, as in `struct Stop;`.
    #[must_use]
    pub fn unit() -> Self {
        Self { fields: Fields::Unit, reader: None }
    }

    /// Fields without names.
    #[must_use]
    pub fn tuple(types: impl IntoIterator<Item = TypeRef>) -> Self {
        let types = types.into_iter().map(|ty| ty.0).collect();
        Self { fields: Fields::Tuple(types), reader: None }
    }

    /// Fields with names, in the order in which they are serialized.
    #[must_use]
    pub fn named(fields: impl IntoIterator<Item = FieldItem>) -> Self {
        let fields = fields.into_iter().map(|field| field.0).collect();
        Self { fields: Fields::Named(fields), reader: None }
    }

    /// Receivers refuse fields that the type does not have.
    #[must_use]
    pub fn deny_unknown_fields(mut self) -> Self {
        self.reader.get_or_insert_default().denies_unknown_fields = true;
        self
    }

    /// What the type is for.
    #[must_use]
    pub fn docs(mut self, docs: &str) -> Self {
        docs.clone_into(&mut self.reader.get_or_insert_default().docs);
        self
    }
}

/// A field with a name.
#[derive(Debug)]
pub struct FieldItem(Field);

impl FieldItem {
    /// A field that is serialized under this name.
    #[must_use]
    pub fn new(name: &str, TypeRef(ty): TypeRef) -> Self {
        Self(Field { name: name.to_owned(), ty, reader: None })
    }

    /// The names under which receivers find it, instead of the one under which it is serialized.
    #[must_use]
    pub fn read_as(mut self, names: &[&str]) -> Self {
        self.0.reader.get_or_insert_default().names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Receivers have a value for it if it is missing.
    #[must_use]
    pub fn default(mut self) -> Self {
        self.0.reader.get_or_insert_default().has_default = true;
        self
    }

    /// What the field is for.
    #[must_use]
    pub fn docs(mut self, docs: &str) -> Self {
        docs.clone_into(&mut self.0.reader.get_or_insert_default().docs);
        self
    }
}

/// A variant of an enum.
#[derive(Debug)]
pub struct VariantItem(Variant);

impl VariantItem {
    /// A variant that is serialized under this name.
    #[must_use]
    pub fn new(name: &str, fields: FieldList) -> Self {
        let FieldList { fields, reader } = fields;
        let reader = reader.map(|StructReader { denies_unknown_fields, docs }| VariantReader {
            denies_unknown_fields,
            docs,
            ..VariantReader::default()
        });
        Self(Variant { name: name.to_owned(), discriminant: None, fields, reader })
    }

    /// Its value as a number. By default, that is its place among the variants.
    #[must_use]
    pub fn discriminant(mut self, value: i128) -> Self {
        self.0.discriminant = Some(value);
        self
    }

    /// The names by which receivers find it, instead of the one under which it is serialized.
    #[must_use]
    pub fn read_as(mut self, names: &[&str]) -> Self {
        self.0.reader.get_or_insert_default().names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Receivers take it for each variant that they do not know.
    #[must_use]
    pub fn other(mut self) -> Self {
        self.0.reader.get_or_insert_default().is_other = true;
        self
    }
}
