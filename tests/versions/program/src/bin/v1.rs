//! The program of services that have version 1 of the messages.

use messages_v1 as messages;

include!("../program.rs");
