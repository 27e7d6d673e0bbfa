//! The protocol under loom: the functions that the store runs, in scenarios small enough to finish.
//!
//! A value is two words that must match, so a torn or foreign copy is detected. A participant that
//! crashes is one that does not continue. `docs/mutations.md` names, for each step of the protocol,
//! the scenario that fails without it.

mod crashes;
mod cursors;
mod flush;
mod index;
mod modifying;
mod pinning;
mod places;
mod publishing;
mod purging;
mod queues;
mod removal;
mod support;
mod waiting;
