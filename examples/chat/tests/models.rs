//! The unit tests of the models of the chat example. Cargo does not run the tests of an example
//! that it also builds.

#![allow(dead_code, unused_imports, reason = "only the example uses all of it")]

#[path = "../src/model/mod.rs"]
mod model;
#[path = "../src/sse.rs"]
mod sse;
