//! `Json`: values of any type of serde inside of messages.

use std::ops::{Deref, DerefMut};

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

use crate::schema::{Schema, SchemaWriter, TypeRef};

/// A field that is encoded as JSON text. Its type needs no schema, and may use attributes of serde that
/// the other encodings cannot express, such as `untagged` and `flatten`.
///
/// It is for values whose structure is not known when the program is built, and for types of others:
/// arguments of tools, `serde_json::Value`, requests of an HTTP API. The text takes more space than
/// postcard, and several times the time. Two programs need not have the same type: what the text means
/// is for them to know.
///
/// # Examples
///
/// ```
/// use splinter_bus::message::Json;
/// use splinter_bus::{Bus, Message};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct ToolCall { tool: String, arguments: Json<serde_json::Value> }
///
/// # let name = format!("splinter-doc-json-{}", std::process::id());
/// let bus: Bus<ToolCall> = Bus::create(&name)?;
/// let arguments = Json(serde_json::json!({ "city": "Bern", "days": 3 }));
/// bus.publish("calls", &ToolCall { tool: "weather".into(), arguments })?;
/// assert_eq!(bus.get("calls")?.unwrap().arguments["days"], 3);
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[diagnostic::do_not_recommend]
impl<T> Schema for Json<T> {
    fn describe(schema: &mut SchemaWriter) -> TypeRef {
        schema.json()
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);

        impl<T: DeserializeOwned> Visitor<'_> for Text<T> {
            type Value = Json<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Json<T>, E> {
                serde_json::from_str(text).map(Json).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}
