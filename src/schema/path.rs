//! Where in a value something was found.

use std::fmt;

/// One step from a value to a value inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Variant(String),
    Item(u64),
    /// All items of a sequence.
    Items,
    Key,
    Value,
}

/// The way from a value to a value inside of it. Displays as in `prompt.messages[3].role`; empty for
/// the value itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValuePath {
    /// The last step first: an error learns the way while it is returned.
    steps: Vec<Step>,
}

impl ValuePath {
    /// Whether it is the value itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// A path of these steps, the last one first.
    pub(super) fn of_steps(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// The steps, the last one first.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().rev().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            match step {
                Step::Field(name) => write!(f, "{dot}{name}")?,
                Step::Variant(name) => write!(f, "{dot}{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Items => f.write_str("[]")?,
                Step::Key => f.write_str("{key}")?,
                Step::Value => f.write_str("{value}")?,
            }
        }
        Ok(())
    }
}
