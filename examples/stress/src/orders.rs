//! What workers are told: to stop publishing, then to receive what is left and end. To end at once, if there is no parent any more.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{io, process, thread};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Work,
    /// Publish no more.
    Quiet,
    /// Receive what is left, and end.
    Finish,
}

/// The latest order.
#[derive(Clone)]
pub(crate) struct Orders(Arc<AtomicU8>);

impl Orders {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(Order::Work as u8)))
    }

    /// Takes orders from standard input, a line each. Its end is the parent's.
    pub(crate) fn of_stdin() -> Self {
        let orders = Self::new();
        let given = orders.clone();
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                match line.as_deref() {
                    Ok("quiet") => given.give(Order::Quiet),
                    Ok("finish") => given.give(Order::Finish),
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
    /// As a line of standard input.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Work => "work\n",
            Self::Quiet => "quiet\n",
            Self::Finish => "finish\n",
        }
    }
}
