//! Waking tasks of any runtime when something happens in a store.
//!
//! Tasks that wait for the same key form a **group**. Threads of this process sleep until something
//! happens to a group. The kernel lets a thread sleep on 128 words, so each thread has up to 127
//! groups, a **shard**, and one word by which it is told of changes in the shard. A thread is
//! started when all others are full. It keeps a list of its groups, with what the word of each held
//! when it last listened. After it wakes, it checks the groups whose word has changed, whose time
//! has come, or of which it was told; and all of them ten times a second, see
//! [`LONGEST_SLEEP`](super::wait::LONGEST_SLEEP).
//!
//! **Code of others.** Wakers are cloned, woken and dropped by code of their runtime, which may
//! panic, block, or call this module again. So none of it runs while the state is locked, and a
//! shard's thread catches each panic: the tasks of others are woken all the same.
//!
//! **Fork.** A child has a copy of the state, which may be locked and stays so, and no thread. It
//! makes a state and threads of its own, and does not touch the copy.

#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod reactor;
mod shard;
mod state;

pub(crate) use reactor::{Reactor, Waiting};
pub(crate) use state::Want;
