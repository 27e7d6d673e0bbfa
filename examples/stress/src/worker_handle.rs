//! A worker process or thread, as the supervisor sees it.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use splinter_bus::Store;

use crate::arena::Arena;
use crate::orders::{Order, Orders};
use crate::recorder::{Recorder, Sink};
use crate::role::own_role;
use crate::tally::{Phase, Report};
use crate::worker;

/// Sends reports, each with the number of its worker.
pub(crate) type ReportSender = Sender<(u64, Report)>;

/// A running worker. A worker process is killed on drop.
pub(crate) struct WorkerHandle {
    pub(crate) number: u64,
    /// The phase that it has reported last.
    pub(crate) phase: Phase,
    pub(crate) body: Body,
    /// When it is resumed, if it is stopped.
    pub(crate) stopped_until: Option<Instant>,
}

pub(crate) enum Body {
    Process { child: Child, orders: ChildStdin, reader: Option<JoinHandle<()>> },
    Thread { orders: Orders, handle: Option<JoinHandle<Result<(), String>>> },
}

impl WorkerHandle {
    fn new(number: u64, body: Body) -> Self {
        Self { number, phase: Phase::Working, body, stopped_until: None }
    }

    /// Starts a worker process.
    pub(crate) fn start_process(number: u64, arena: &Arena, reports: ReportSender) -> Result<Self, Box<dyn Error>> {
        let mut command = own_role("worker", arena, number)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().ok_or("a worker without standard input")?;
        let out = child.stdout.take().ok_or("a worker without standard output")?;
        let reader = thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // The last line of a killed worker may be incomplete.
                if let Ok(report) = serde_json::from_str(&line) {
                    let _ = reports.send((number, report));
                }
            }
        });
        Ok(Self::new(number, Body::Process { child, orders, reader: Some(reader) }))
    }

    /// Starts a worker thread. Half of the threads share `store`; each of the others opens its own.
    pub(crate) fn start_thread(
        number: u64,
        arena: &Arena,
        store: &Store,
        reports: ReportSender,
    ) -> Result<Self, Box<dyn Error>> {
        let store = if number.is_multiple_of(2) { store.clone() } else { arena.open()? };
        let (arena, orders) = (arena.clone(), Orders::new());
        let thread_orders = orders.clone();
        let handle = thread::Builder::new().name(format!("worker {number}")).spawn(move || {
            let mut recorder = Recorder::new(Sink::Channel { worker: number, reports });
            worker::run(&arena, &store, number, &thread_orders, &mut recorder).map_err(|error| error.to_string())
        })?;
        Ok(Self::new(number, Body::Thread { orders, handle: Some(handle) }))
    }

    pub(crate) fn order(&mut self, order: Order) {
        match &mut self.body {
            // Writing fails if the worker has ended, which is reported later.
            Body::Process { orders, .. } => drop(orders.write_all(order.line().as_bytes())),
            Body::Thread { orders, .. } => orders.give(order),
        }
    }

    /// Returns how the worker has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match &mut self.body {
            Body::Process { child, .. } => match child.try_wait() {
                Ok(status) => status.map(|status| status.to_string()),
                Err(error) => Some(error.to_string()),
            },
            Body::Thread { handle, .. } => {
                handle.as_ref().is_none_or(JoinHandle::is_finished).then(|| "its thread ended".to_owned())
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// The worker failed.
    pub(crate) fn join(&mut self) -> Result<(), String> {
        if self.phase < Phase::Done
            && let Body::Process { child, .. } = &mut self.body
        {
            // It did not finish in time.
            let _ = child.kill();
        }
        match &mut self.body {
            Body::Process { child, reader, .. } => {
                let status = child.wait().map_err(|error| error.to_string())?;
                reader.take().map(JoinHandle::join);
                if status.success() { Ok(()) } else { Err(status.to_string()) }
            }
            Body::Thread { handle, .. } => match handle.take().map(JoinHandle::join) {
                Some(Ok(ended)) => ended,
                Some(Err(_)) => Err("it panicked".to_owned()),
                None => Ok(()),
            },
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        if let Body::Process { child, reader, .. } = &mut self.body {
            let _ = child.kill();
            let _ = child.wait();
            reader.take().map(JoinHandle::join);
        }
    }
}
