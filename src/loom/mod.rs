//! The protocol under loom: the functions that the store runs, in scenarios small enough to finish.
//!
//! A value is two words that must match, so a torn or foreign copy shows. A participant that is killed is one that does not
//! continue. `docs/mutations.md` names, for each step of the protocol, the scenario that fails without it.

mod deaths;
mod delivery;
mod flush;
mod index;
mod publishing;
mod purging;
mod removal;
mod support;
