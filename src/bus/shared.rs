//! The state that all handles of one bus share.

use uuid::Uuid;

use super::ids::Ids;
use super::receive::{Reads, SenderTypes};
use super::stored_types::LeftType;
use crate::frame::Encoding;
use crate::message::{EncodeError, Fault, Message, MessageType};
use crate::os::per_process::PerProcess;
use crate::store::Store;
use crate::store::directory::WaitLimit;
use crate::sync::{AtomicU32, Ordering};

/// The state that all handles of one bus share: identity of the type, default sender, ids.
pub(super) struct Shared {
    pub(super) message_type: MessageType,
    pub(super) fault_fingerprint: u64,
    /// The sender of messages whose publisher sets none.
    pub(super) from: &'static str,
    pub(super) ids: Ids,
    /// Whether a message was found to be serialized as its schema says.
    is_checked: AtomicU32,
    left_type: LeftType,
    /// Which messages the type can read.
    pub(super) reads: Reads,
    pub(super) sender_types: SenderTypes,
}

impl Shared {
    pub(super) fn new<T: Message>() -> Self {
        Self {
            message_type: T::message_type(),
            // Messages in other encodings are compatible only with those that have the same bytes.
            reads: if T::READS_BY_SCHEMA || T::ENCODING != Encoding::Postcard {
                Reads::Compatible
            } else {
                Reads::Exact
            },
            fault_fingerprint: Fault::message_type().fingerprint(),
            from: default_sender(),
            ids: Ids::new(),
            is_checked: AtomicU32::new(0),
            left_type: LeftType::default(),
            sender_types: SenderTypes::default(),
        }
    }

    /// Leaves the type in the store, once for each bus that publishes.
    #[inline]
    pub(super) fn leave_type(&self, store: &Store, limit: &mut WaitLimit) {
        self.left_type.leave(store, &self.message_type, limit);
    }

    /// Checks that a message is serialized as its schema says: the first one, and in debug builds each.
    #[inline]
    pub(super) fn check_schema<M: Message>(&self, message: &M) -> Result<(), EncodeError> {
        // Relaxed: it guards nothing. Two threads may both check.
        if !cfg!(debug_assertions) && self.is_checked.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        self.check_schema_now(message)
    }

    #[cold]
    fn check_schema_now<M: Message>(&self, message: &M) -> Result<(), EncodeError> {
        // A fault may be sent under each type.
        if M::name() == self.message_type.name() {
            message
                .check_schema(self.message_type.schema())
                .map_err(|source| EncodeError::Schema { name: M::name(), source: Box::new(source) })?;
            self.is_checked.store(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The default sender: program name, at most 200 bytes of it, and a random number of this process.
///
/// Not the process id: in several containers, processes have the same. A child of `fork` has a
/// number of its own.
fn default_sender() -> &'static str {
    static SENDER: PerProcess<String> = PerProcess::new();
    SENDER.get(|| {
        let program = std::env::args_os().next().unwrap_or_default();
        let program = std::path::Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
        let program = &program[..program.floor_char_boundary(200)];
        // The lower half of an id is random; the upper half has the time.
        let (_, random) = Uuid::now_v7().as_u64_pair();
        format!("{program}-{:08x}", random as u32)
    })
}
