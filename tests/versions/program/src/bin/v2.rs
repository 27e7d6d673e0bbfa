//! The program of services that have version 2 of the messages.

use messages_v2 as messages;

include!("../program.rs");
