//! Publishing messages: publishers, streams, and loans.

mod lend;
mod loan;
mod loan_uninit;
mod publisher;
mod sent;
mod stream;
mod writer;

pub use loan::Loan;
pub use loan_uninit::LoanUninit;
pub use publisher::Publisher;
pub use sent::Sent;
pub use stream::Stream;
