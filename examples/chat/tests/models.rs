//! The models of the chat example, with their own tests: an example's are not run beside the example itself.

#![allow(dead_code, unused_imports, reason = "only the example uses all of it")]

#[path = "../src/model/mod.rs"]
mod model;
#[path = "../src/sse.rs"]
mod sse;
