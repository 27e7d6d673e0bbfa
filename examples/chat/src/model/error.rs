use std::time::Duration;

/// Why a model could not be set up, or could not finish an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ModelError {
    #[error("the corpus {name} holds no words: give a text file with some prose in it")]
    EmptyCorpus { name: String },

    #[error(
        "the corpus {name} has {words} words, more than the {limit} that this model can count: \
         give a shorter text"
    )]
    CorpusTooLong { name: String, words: usize, limit: usize },

    #[error("{url} is not the address of a model server: {reason}; write it as http://localhost:8080")]
    BadUrl { url: String, reason: String },

    #[error(
        "{url} asks for https, which this example does not speak: run a local proxy that accepts \
         http and forwards to it, and give the proxy's address"
    )]
    Https { url: String },

    #[error("no connection to {url} ({reason}): is the model server running, and on this port?")]
    Unreachable { url: String, reason: String },

    #[error(
        "no connection to {url} within {}: is the address right, and the machine up?",
        humantime::format_duration(*limit)
    )]
    ConnectTimeout { url: String, limit: Duration },

    #[error(
        "{url} sent nothing for {}: the server hangs, or needs longer to load its model; \
         try again or allow a longer silence",
        humantime::format_duration(*limit)
    )]
    Silent { url: String, limit: Duration },

    #[error("{url} answered with status {status}: {message}")]
    Status { url: String, status: u16, message: String },

    #[error("{url} reported an error: {message}")]
    Server { url: String, message: String },

    #[error("{url} lists no models: load one in the server, or name one with --model")]
    NoModels { url: String },

    #[error(
        "{url} answered with {content_type} instead of an event stream: does the server support \
         streaming, and is this the address of its API? The answer begins: {excerpt}"
    )]
    NotAStream { url: String, content_type: String, excerpt: String },

    #[error(
        "{url} sent JSON that cannot be understood ({reason}): is it an OpenAI-compatible server? \
         It sent: {excerpt}"
    )]
    BadJson { url: String, reason: String, excerpt: String },

    #[error(
        "{url} sent more than {limit} bytes in one piece: it does not speak the OpenAI protocol, \
         or is broken"
    )]
    TooLong { url: String, limit: usize },

    #[error(
        "the answer of {url} was cut after {pieces} pieces: the server closed the connection \
         before the end; look at its log, and ask again"
    )]
    Cut { url: String, pieces: u32 },

    #[error("the exchange with {url} failed: {reason}")]
    Exchange { url: String, reason: String },
}
