//! Publishing messages: publishers, single messages, streams, and loans.

mod lend;
mod loan;
mod loan_uninit;
mod outgoing_message;
mod publisher;
mod sent;
mod stream;
mod ttl;
mod writer;

pub use loan::Loan;
pub use loan_uninit::LoanUninit;
pub use outgoing_message::OutgoingMessage;
pub use publisher::Publisher;
pub use sent::Sent;
pub use stream::Stream;
