//! What clients and workers say to each other, and under which keys.

use serde::{Deserialize, Serialize};
use splinter_bus::Message;
use splinter_bus::store::Participant;

/// Clients publish prompts here, each addressed to one worker.
pub(crate) const PROMPTS: &str = "chat:prompt";
/// Workers make themselves known under this prefix and their place in the store.
pub(crate) const WORKERS: &str = "chat:worker:";

/// A client's question to a worker.
#[derive(Message, Serialize, Deserialize, Debug)]
#[message(kind = "query", topic = "chat:prompt")]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) max_tokens: u32,
    /// The key under which the answer is expected.
    pub(crate) reply_to: String,
    /// The client's process.
    pub(crate) pid: u32,
    pub(crate) client: Address,
}

/// A piece of an answer. The last one of an answer is empty.
#[derive(Message, Serialize, Deserialize, Debug)]
#[message(kind = "response")]
pub(crate) struct Token {
    pub(crate) text: String,
    /// The worker's process.
    pub(crate) pid: u32,
}

/// A worker says that it takes prompts from now on.
#[derive(Message, Serialize, Deserialize, Debug, Clone)]
pub(crate) struct Presence {
    pub(crate) model: String,
    /// The worker's process.
    pub(crate) pid: u32,
    pub(crate) worker: Address,
}

/// Which open handle on the store is meant: whether it is still open can be asked of the store.
#[derive(splinter_bus::Schema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) id: u32,
    pub(crate) incarnation: u64,
}

impl Address {
    pub(crate) fn is_of(self, participant: &Participant) -> bool {
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

/// What a component calls itself in envelopes.
pub(crate) fn component(role: &str, address: Address) -> String {
    format!("{role}-{}.{}", address.id, address.incarnation)
}
