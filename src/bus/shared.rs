//! The state that all handles of one bus share.

use super::ids::Ids;
use crate::message::{Fault, Message, MessageType};

/// The state that all handles of one bus share: identity of the type, default sender, ids.
pub(super) struct Shared {
    pub(super) message_type: MessageType,
    pub(super) fault_fingerprint: u64,
    /// The sender of messages whose publisher sets none.
    pub(super) from: String,
    pub(super) ids: Ids,
}

impl Shared {
    pub(super) fn new(message_type: MessageType) -> Self {
        Self {
            message_type,
            fault_fingerprint: Fault::message_type().fingerprint(),
            from: default_sender(),
            ids: Ids::new(),
        }
    }
}

/// The default sender: program name, at most 200 bytes of it, and process id.
fn default_sender() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let program = &program[..program.floor_char_boundary(200)];
    format!("{program}-{}", std::process::id())
}
