use splinter_bus::Message;

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(encodign = "postcard")]
struct UnknownAttribute(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(encoding = "jason", kind = "question", version = 0)]
struct UnknownValues(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(kind = query)]
struct NotALiteral(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(version = "2", name = 3)]
struct WrongLiteral(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(name = "a", version = 1, name = "b")]
struct Twice(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(name = "")]
struct Empty(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(alias = "")]
#[message(alias = "Old", alias = "Aliases", alias = "Older", alias = "Old")]
struct Aliases(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(alias = Old)]
struct AliasWithoutQuotes(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(name = "shop.Order", alias = "shop.Order")]
struct Order(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(schema = "u32", schema = u32)]
struct SchemaOnType(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct UnknownOnField(#[message(shema = u32)] u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
enum OnVariant {
    #[message(name = "x")]
    Variant(u32),
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(checksum = "off")]
struct ChecksumInWords(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(crate = 3)]
struct CrateWithoutAPath(u32);

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(crate = "3")]
struct CrateWithoutAPathInQuotes(u32);

#[derive(splinter_bus::Schema)]
#[message(kind = "query", alias = "Old", version = 2, checksum = false)]
struct PartOfAMessage(u32);

fn main() {}
