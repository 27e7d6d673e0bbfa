//! Creating and opening everything that a sender or a receiver of 1,000 keys needs.

use std::time::Instant;

use anyhow::Result;

use crate::figure::{Figure, histogram, percentiles};
use crate::partner::{self, Partner};
use crate::peer::{Channel, Peer};
use crate::task::Task;

/// Times the creation of the host and the sender.
pub(crate) fn measure_create<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let mut latencies = histogram();
    let start = Instant::now();
    for number in 0.. {
        let session = format!("{}-{number}", task.session);
        let before = Instant::now();
        let host = P::host(&session, spec)?;
        let sender = P::sender(&session, Channel::Forward, spec)?;
        latencies.saturating_record(before.elapsed().as_nanos() as u64 * 1000);
        drop(sender);
        drop(host);
        if start.elapsed() > task.budget().duration {
            break;
        }
    }
    Ok(percentiles(&latencies))
}

/// Times the creation of the receiver. Host and sender are in the partner process.
pub(crate) fn measure_open<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let mut latencies = histogram();
    let mut partner = Partner::start(task, 0)?;
    let start = Instant::now();
    while start.elapsed() < task.budget().duration {
        let before = Instant::now();
        let receiver = P::receiver(&task.session, Channel::Forward, spec)?;
        latencies.saturating_record(before.elapsed().as_nanos() as u64 * 1000);
        drop(receiver);
    }
    partner.end()?;
    Ok(percentiles(&latencies))
}

/// Creates what the worker opens, and keeps it until the worker ends it.
pub(crate) fn partner<P: Peer>(task: &Task) -> Result<()> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let _sender = P::sender(&task.session, Channel::Forward, spec)?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    partner::finish("done");
    Ok(())
}
