use splinter_bus::{Message, Schema};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct SkippedSometimes {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct SkippedByOne {
    #[serde(skip_serializing)]
    name: String,
    #[serde(skip_deserializing)]
    other: String,
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
enum SkippedVariant {
    #[serde(skip)]
    A,
    B,
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    A { a: u8 },
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "content")]
enum AdjacentlyTagged {
    A { a: u8 },
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Untagged {
    A { a: u8 },
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
enum UntaggedVariant {
    A(u8),
    #[serde(untagged)]
    B(String),
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Flattened {
    #[serde(flatten)]
    inner: std::collections::HashMap<String, u8>,
}

#[derive(Schema, serde::Deserialize)]
#[serde(variant_identifier)]
enum Identifier {
    A,
}

#[derive(Schema, serde::Serialize, serde::Deserialize)]
struct Written {
    #[serde(with = "module")]
    with: u8,
    #[serde(serialize_with = "module::serialize")]
    serialize_with: u8,
}

#[derive(Schema, serde::Serialize, serde::Deserialize)]
#[serde(from = "String")]
struct OutOfText(u8);

impl From<String> for OutOfText {
    fn from(text: String) -> Self {
        Self(text.len() as u8)
    }
}

#[derive(Schema, serde::Serialize, serde::Deserialize)]
enum WrittenVariant {
    #[serde(with = "module")]
    A(u8),
}

#[derive(Schema)]
#[serde(remote = "std::time::Duration")]
struct Remote(u8);

#[derive(Schema)]
struct Unknown {
    #[serde(skip_on_tuesdays)]
    field: u8,
}

#[derive(Schema)]
struct InQuotes {
    #[message(schema = "u32")]
    field: u8,
}

fn main() {}
