#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod reactor;

pub(crate) use reactor::{Reactor, Waiting, Want};
