//! Orders from the supervisor to a worker: stop publishing, then receive the rest and end.
//!
//! A worker process also ends when its standard input is closed, because then its parent has ended.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{io, process, thread};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Work,
    /// Stop publishing.
    Quiet,
    /// Receive the remaining messages and jobs, and end.
    Finish,
}

/// The latest order, which supervisor and worker share.
#[derive(Clone)]
pub(crate) struct Orders(Arc<AtomicU8>);

impl Orders {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Order::Work as u8)))
    }

    /// Reads orders from standard input, one per line. Ends the process when it is closed.
    pub(crate) fn from_stdin() -> Self {
        let orders = Self::new();
        let received = orders.clone();
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                match line.as_deref() {
                    Ok("quiet") => received.give(Order::Quiet),
                    Ok("finish") => received.give(Order::Finish),
                    _ => break,
                }
            }
            process::exit(1);
        });
        orders
    }

    pub(crate) fn give(&self, order: Order) {
        self.0.store(order as u8, Ordering::SeqCst);
    }

    pub(crate) fn latest(&self) -> Order {
        match self.0.load(Ordering::Relaxed) {
            0 => Order::Work,
            1 => Order::Quiet,
            _ => Order::Finish,
        }
    }
}

impl Order {
    /// The order as a line of standard input.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Work => "work\n",
            Self::Quiet => "quiet\n",
            Self::Finish => "finish\n",
        }
    }
}
