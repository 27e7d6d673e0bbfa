//! The messages of clients and workers, and their keys.

use serde::{Deserialize, Serialize};
use splinter_bus::Message;
use splinter_bus::store::Participant;

/// The key of all prompts. Each is addressed to one worker.
pub(crate) const PROMPTS: &str = "chat:prompt";
/// The prefix of the keys of workers, followed by the participant index.
pub(crate) const WORKERS: &str = "chat:worker:";

/// A prompt from a client to a worker.
#[derive(Message, Serialize, Deserialize, Debug)]
#[message(kind = "query")]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) max_tokens: u32,
    /// The key on which the answer is published.
    pub(crate) reply_to: String,
    /// The client's process.
    pub(crate) pid: u32,
    pub(crate) client: Address,
}

/// A piece of an answer. The last piece is empty.
#[derive(Message, Serialize, Deserialize, Debug)]
#[message(kind = "response")]
pub(crate) struct Token {
    pub(crate) text: String,
    /// The worker's process.
    pub(crate) pid: u32,
}

/// The announcement of a worker that is ready for prompts.
#[derive(Message, Serialize, Deserialize, Debug, Clone)]
pub(crate) struct Presence {
    pub(crate) model: String,
    /// The worker's process.
    pub(crate) pid: u32,
    pub(crate) worker: Address,
}

/// A participant of the store: one open handle in one process.
#[derive(splinter_bus::Schema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) id: u32,
    pub(crate) incarnation: u64,
}

impl Address {
    pub(crate) fn matches(self, participant: &Participant) -> bool {
        (self.id, self.incarnation) == (participant.id, participant.incarnation)
    }
}

impl From<Participant> for Address {
    fn from(participant: Participant) -> Self {
        Self { id: participant.id, incarnation: participant.incarnation }
    }
}

/// The key of a worker's presence.
pub(crate) fn worker_key(address: Address) -> String {
    format!("{WORKERS}{}", address.id)
}

/// The key of a client's answers.
pub(crate) fn answer_key(address: Address) -> String {
    format!("chat:answer:{}", address.id)
}

/// The name of a client or worker in envelopes.
pub(crate) fn component(role: &str, address: Address) -> String {
    format!("{role}-{}.{}", address.id, address.incarnation)
}
