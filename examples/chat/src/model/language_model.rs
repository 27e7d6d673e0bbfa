//! The interface of all models.

use std::ops::ControlFlow;

use super::error::ModelError;

/// A language model that answers a prompt, piece by piece.
pub(crate) trait Model {
    /// Calls `emit` with each piece of the answer, at most `max_tokens` times.
    ///
    /// The concatenated pieces are the answer. `emit` can end it early, which is no error.
    ///
    /// # Errors
    ///
    /// The model failed. The pieces before the error are the beginning of the answer.
    fn generate(
        &mut self,
        prompt: &str,
        max_tokens: u32,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), ModelError>;

    /// A name of this model for the user.
    fn name(&self) -> &str;
}
