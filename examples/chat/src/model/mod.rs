//! What answers the prompts: a small n-gram model that is always at hand, or
//! any server that speaks the OpenAI protocol.

use std::ops::ControlFlow;

mod error;
mod ngram;
mod openai;
mod random;
#[cfg(test)]
mod test_server;
mod words;

pub(crate) use error::ModelError;
pub(crate) use ngram::NgramModel;
pub(crate) use openai::OpenAiOptions;

/// A language model that continues a prompt, a piece of text at a time.
pub(crate) trait Model {
    /// Calls `emit` with each piece as it comes, at most `max_tokens` times;
    /// the pieces put together are the answer. Stops early, without an error,
    /// when `emit` says so.
    ///
    /// # Errors
    ///
    /// The pieces emitted before an error are the beginning of the answer.
    fn generate(
        &mut self,
        prompt: &str,
        max_tokens: u32,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), ModelError>;

    /// What to call this model in front of a person.
    fn name(&self) -> &str;
}
