use std::time::Duration;

/// Why a model could not be created, or could not complete an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ModelError {
    #[error("the corpus {name} has no words: use a text file with prose")]
    EmptyCorpus { name: String },

    #[error("the corpus {name} is too long: {words} words, maximum {limit}; use a shorter text")]
    CorpusTooLong { name: String, words: usize, limit: usize },

    #[error("{url} is not the address of a model server: {reason}; use the form http://localhost:8080")]
    BadUrl { url: String, reason: String },

    #[error(
        "{url} uses https, which this example does not support: run a local proxy that forwards http \
         requests to it, and use the address of the proxy"
    )]
    Https { url: String },

    #[error("cannot connect to {url} ({reason}): is the model server running on this port?")]
    Unreachable { url: String, reason: String },

    #[error(
        "cannot connect to {url} within {}: check the address, and whether the machine is reachable",
        humantime::format_duration(*limit)
    )]
    ConnectTimeout { url: String, limit: Duration },

    #[error(
        "{url} sent nothing for {}: the server hangs, or is still loading its model; \
         try again, or use a longer --timeout",
        humantime::format_duration(*limit)
    )]
    Silent { url: String, limit: Duration },

    #[error("{url} answered with status {status}: {message}")]
    Status { url: String, status: u16, message: String },

    #[error("{url} reported an error: {message}")]
    Server { url: String, message: String },

    #[error("{url} lists no models: load one in the server, or select one with --model")]
    NoModels { url: String },

    #[error(
        "{url} answered with {content_type} instead of an event stream: does the server support \
         streaming, and is this the address of its API? The response begins: {excerpt}"
    )]
    NotAStream { url: String, content_type: String, excerpt: String },

    #[error(
        "{url} sent unexpected JSON ({reason}): is it an OpenAI-compatible server? \
         It sent: {excerpt}"
    )]
    BadJson { url: String, reason: String, excerpt: String },

    #[error("{url} sent an event of more than {limit} bytes: is it an OpenAI-compatible server?")]
    TooLong { url: String, limit: usize },

    #[error(
        "the answer of {url} was cut after {pieces} pieces: the server closed the connection \
         too early; see its log, and try again"
    )]
    Cut { url: String, pieces: u32 },

    #[error("the request to {url} failed: {reason}")]
    Exchange { url: String, reason: String },
}
