//! Answers of a server with the OpenAI protocol over plain HTTP: llama.cpp, Ollama, vLLM and
//! others.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::error::ModelError;
use super::language_model::Model;
use crate::sse::{EventError, Events};
use chunk::{bad_json, error_message, excerpt, parse_chunk};

mod chunk;

/// The maximum size of an event in bytes. Most events contain a few words.
const EVENT_LIMIT: usize = 1024 * 1024;
/// The maximum size in bytes of a response that is not a stream. A list of models has a few
/// kilobytes.
const BODY_LIMIT: u64 = 4 * 1024 * 1024;
/// The options of a connection to a server.
#[derive(Debug, Clone)]
pub(crate) struct OpenAiOptions {
    model: Option<String>,
    api_key: Option<ApiKey>,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

impl OpenAiOptions {
    pub(crate) fn new() -> Self {
        Self {
            model: None,
            api_key: None,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// Sets the name of the model. The default is the first one that the server lists.
    pub(crate) fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Sets the key that is sent as a bearer token. An empty key is ignored.
    pub(crate) fn api_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.api_key = (!key.trim().is_empty()).then(|| ApiKey(key.trim().to_owned()));
        self
    }

    /// Sets how long the server may send nothing; the default is one minute.
    pub(crate) fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Creates a model on the server at `url`.
    ///
    /// `url` is `http://host:port`, optionally followed by `/v1` or `/v1/chat/completions`. Without
    /// a model name, this requests the list of models from the server.
    ///
    /// # Errors
    ///
    /// `url` is not such an address, or the list of models is empty or could not be read.
    pub(crate) fn connect(self, url: &str) -> Result<OpenAiModel, ModelError> {
        let base = base_url(url)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(self.idle_timeout))
            .timeout_per_write(Some(self.idle_timeout))
            .build()
            .into();
        let mut server = Server { agent, base, options: self };
        let name = match server.options.model.take() {
            Some(name) => name,
            None => server.first_model()?,
        };
        Ok(OpenAiModel { server, name })
    }
}

/// A key that is not printed by `{:?}`.
#[derive(Clone)]
struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// A model on a server.
#[derive(Debug)]
pub(crate) struct OpenAiModel {
    server: Server,
    name: String,
}

impl Model for OpenAiModel {
    fn generate(
        &mut self,
        prompt: &str,
        max_tokens: u32,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), ModelError> {
        if max_tokens == 0 {
            return Ok(());
        }
        let url = self.server.url("chat/completions");
        let request = json!({
            "model": self.name,
            "stream": true,
            "max_tokens": max_tokens,
            "messages": [{ "role": "user", "content": prompt }],
        });
        let mut response = self.server.send(&url, Some(&request))?;
        self.server.expect_stream(&url, &mut response)?;

        let reader = BufReader::new(response.body_mut().as_reader());
        let mut pieces = 0;
        let mut finished = false;
        for event in Events::new(reader, EVENT_LIMIT) {
            let event = match event {
                Ok(event) => event,
                Err(EventError::Io(error)) if finished && is_disconnect(&error) => return Ok(()),
                Err(error) => return Err(self.server.read_failure(&url, error, pieces)),
            };
            if event.data.trim() == "[DONE]" {
                return Ok(());
            }
            let chunk = parse_chunk(&url, &event)?;
            for choice in chunk.choices.into_iter().flatten().take(1) {
                finished |= choice.finish_reason.is_some();
                let content = choice.delta.and_then(|delta| delta.content).unwrap_or_default();
                if content.is_empty() {
                    continue;
                }
                pieces += 1;
                // A piece is at least one token. A server that ignores `max_tokens` is cut off
                // here.
                if emit(&content).is_break() || pieces == max_tokens {
                    return Ok(());
                }
            }
        }
        if finished { Ok(()) } else { Err(ModelError::Cut { url, pieces }) }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug)]
struct Server {
    agent: Agent,
    /// The part of the address before `/v1`.
    base: String,
    options: OpenAiOptions,
}

impl Server {
    fn url(&self, endpoint: &str) -> String {
        format!("{}/v1/{endpoint}", self.base)
    }

    fn first_model(&self) -> Result<String, ModelError> {
        #[derive(Deserialize)]
        struct List {
            data: Option<Vec<Entry>>,
        }
        #[derive(Deserialize)]
        struct Entry {
            id: String,
        }

        let url = self.url("models");
        let mut response = self.send(&url, None)?;
        let body = self.read_body(&url, &mut response)?;
        let list: List = serde_json::from_str(&body).map_err(|error| bad_json(&url, &error, &body))?;
        let first = list.data.into_iter().flatten().next();
        first.map(|entry| entry.id).ok_or(ModelError::NoModels { url })
    }

    /// Sends a request and returns the response if its status is a success.
    fn send(&self, url: &str, request: Option<&Value>) -> Result<Response<Body>, ModelError> {
        let key = self.options.api_key.as_ref().map(|key| format!("Bearer {}", key.0));
        let sent = match request {
            Some(request) => {
                let mut builder = self.agent.post(url).header("content-type", "application/json");
                if let Some(key) = key {
                    builder = builder.header("authorization", key);
                }
                builder.header("accept", "text/event-stream").send(request.to_string())
            }
            None => {
                let mut builder = self.agent.get(url);
                if let Some(key) = key {
                    builder = builder.header("authorization", key);
                }
                builder.call()
            }
        };
        let mut response = sent.map_err(|error| self.failure(url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // The status alone is sufficient if the body cannot be read.
        let body = self.read_body(url, &mut response).unwrap_or_default();
        let message = match serde_json::from_str(&body) {
            Ok(json) => error_message(&json).unwrap_or_else(|| excerpt(&body)),
            Err(_) if body.trim().is_empty() => status.canonical_reason().unwrap_or("no explanation").to_owned(),
            Err(_) => excerpt(&body),
        };
        Err(ModelError::Status { url: url.to_owned(), status: status.as_u16(), message })
    }

    /// Checks that the content type of a response, if it has one, is an event stream.
    fn expect_stream(&self, url: &str, response: &mut Response<Body>) -> Result<(), ModelError> {
        let header = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let Some(content_type) = header.map(str::to_owned) else {
            return Ok(());
        };
        if content_type.to_ascii_lowercase().starts_with("text/event-stream") {
            return Ok(());
        }
        let body = self.read_body(url, response)?;
        let error = serde_json::from_str::<Value>(&body)
            .ok()
            .filter(|json| json.get("error").is_some())
            .and_then(|json| error_message(&json));
        let url = url.to_owned();
        Err(match error {
            Some(message) => ModelError::Server { url, message },
            None => ModelError::NotAStream { url, content_type, excerpt: excerpt(&body) },
        })
    }

    fn read_body(&self, url: &str, response: &mut Response<Body>) -> Result<String, ModelError> {
        let mut body = Vec::new();
        response
            .body_mut()
            .as_reader()
            .take(BODY_LIMIT)
            .read_to_end(&mut body)
            .map_err(|error| self.read_failure(url, error.into(), 0))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn read_failure(&self, url: &str, error: EventError, pieces: u32) -> ModelError {
        match error {
            EventError::TooLong { limit } => ModelError::TooLong { url: url.to_owned(), limit },
            EventError::Io(error) if is_disconnect(&error) => ModelError::Cut { url: url.to_owned(), pieces },
            EventError::Io(error) => self.failure(url, error.into()),
        }
    }

    fn failure(&self, url: &str, error: ureq::Error) -> ModelError {
        let url = url.to_owned();
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                ModelError::ConnectTimeout { url, limit: self.options.connect_timeout }
            }
            ureq::Error::Timeout(_) => ModelError::Silent { url, limit: self.options.idle_timeout },
            ureq::Error::HostNotFound => ModelError::Unreachable { url, reason: "host not found".to_owned() },
            ureq::Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::HostUnreachable
                        | io::ErrorKind::NetworkUnreachable
                        | io::ErrorKind::AddrNotAvailable
                ) =>
            {
                ModelError::Unreachable { url, reason: error.to_string() }
            }
            other => ModelError::Exchange { url, reason: other.to_string() },
        }
    }
}

/// Returns the address of a server without the path of the endpoint.
fn base_url(url: &str) -> Result<String, ModelError> {
    let bad = |reason: &str| ModelError::BadUrl { url: url.to_owned(), reason: reason.to_owned() };
    let trimmed = url.trim();
    let parsed: Uri = trimmed.parse().map_err(|error| bad(&format!("{error}")))?;
    match parsed.scheme_str() {
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => {}
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => {
            return Err(ModelError::Https { url: url.to_owned() });
        }
        Some(_) => return Err(bad("only http is supported")),
        None => return Err(bad("it does not start with http://")),
    }
    if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(ModelError::BadUrl {
            url: "the given URL".to_owned(),
            reason: "it contains a user name; set the key in OPENAI_API_KEY".to_owned(),
        });
    }
    if parsed.query().is_some() {
        return Err(bad("it has a query part"));
    }
    let mut base = trimmed.trim_end_matches('/');
    base = base.strip_suffix("/chat/completions").unwrap_or(base).trim_end_matches('/');
    base = base.strip_suffix("/v1").unwrap_or(base).trim_end_matches('/');
    Ok(base.to_owned())
}

fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests;
