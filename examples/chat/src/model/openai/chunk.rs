//! The JSON that a server sends: pieces of an answer, and errors in several forms.

use serde::Deserialize;
use serde_json::Value;

use super::super::error::ModelError;
use crate::sse::Event;

/// How many characters of an unexpected response are shown in an error.
const EXCERPT: usize = 200;

#[derive(Deserialize)]
pub(super) struct Chunk {
    pub(super) choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) delta: Option<Delta>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
}

/// Parses the chunk in an event.
///
/// # Errors
///
/// The event reports an error of the server, or its data is not a chunk.
pub(super) fn parse_chunk(url: &str, event: &Event) -> Result<Chunk, ModelError> {
    let server = |message| ModelError::Server { url: url.to_owned(), message };
    let json: Value = match serde_json::from_str(&event.data) {
        Ok(json) => json,
        Err(_) if event.name == "error" => return Err(server(excerpt(&event.data))),
        Err(error) => return Err(bad_json(url, &error, &event.data)),
    };
    let reported = json.get("error").is_some_and(|error| !error.is_null());
    if reported || event.name == "error" {
        return Err(server(error_message(&json).unwrap_or_else(|| excerpt(&event.data))));
    }
    serde_json::from_value(json).map_err(|error| bad_json(url, &error, &event.data))
}

/// Returns the text of an error.
///
/// Servers put it into `error`, as an object or a string, or into `message` or `detail`.
pub(super) fn error_message(json: &Value) -> Option<String> {
    let error = json.get("error").unwrap_or(json);
    let text = [Some(error), error.get("message"), error.get("detail")].into_iter().flatten().find_map(Value::as_str);
    match text {
        Some(text) => Some(excerpt(text)),
        None => json.get("error").map(|error| excerpt(&error.to_string())),
    }
}

pub(super) fn bad_json(url: &str, error: &serde_json::Error, text: &str) -> ModelError {
    ModelError::BadJson { url: url.to_owned(), reason: error.to_string(), excerpt: excerpt(text) }
}

/// Returns the beginning of a text on one line, without control characters.
pub(super) fn excerpt(text: &str) -> String {
    let mut visible = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut excerpt: String = visible.by_ref().take(EXCERPT).collect();
    if visible.next().is_some() {
        excerpt.push_str("...");
    }
    excerpt
}
