//! The language models: a small built-in n-gram model, and servers with the OpenAI protocol.

mod error;
mod language_model;
mod ngram;
mod openai;
mod random;
#[cfg(test)]
mod test_server;
mod words;

pub(crate) use language_model::Model;
pub(crate) use ngram::NgramModel;
pub(crate) use openai::OpenAiOptions;
