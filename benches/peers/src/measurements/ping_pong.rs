//! Messages to another process and back; both processes spin, each on its own core.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;

use crate::endpoints::spin;
use crate::figure::{Figure, histogram, percentiles};
use crate::partner::{self, Partner};
use crate::payload::{self, Payload};
use crate::peer::{Channel, Peer, Sender};
use crate::task::Task;
use crate::timing::pin_to_core;

pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let mut sender = P::sender(&task.session, Channel::Forward, spec)?;
    let mut partner = Partner::start(task, 0)?;
    let mut receiver = P::receiver(&task.session, Channel::Backward, spec)?;
    let (mut payload, mut received) = (Payload::new(spec.size), Vec::new());
    let (mut latencies, never) = (histogram(), AtomicBool::new(false));
    pin_to_core(0)?;
    partner.begin()?;
    let duration = task.budget().duration;
    let start = Instant::now();
    for number in 1.. {
        let before = Instant::now();
        sender.send(0, payload.numbered(number))?;
        spin(&mut receiver, 0, &mut received, &never)?;
        let one_way = before.elapsed() / 2;
        payload::check(&received, number)?;
        let elapsed = start.elapsed();
        // The first tenth is the warm-up.
        if elapsed > duration / 10 {
            latencies.saturating_record(one_way.as_nanos() as u64 * 1000);
        }
        if elapsed > duration + duration / 10 {
            break;
        }
    }
    partner.end()?;
    Ok(percentiles(&latencies))
}

/// Returns every message until the worker ends it.
pub(crate) fn partner<P: Peer>(task: &Task) -> Result<()> {
    let spec = task.spec();
    let mut receiver = P::receiver(&task.session, Channel::Forward, spec)?;
    let mut sender = P::sender(&task.session, Channel::Backward, spec)?;
    let (mut payload, mut received) = (Payload::new(spec.size), Vec::new());
    pin_to_core(1)?;
    let ended = partner::ready()?;
    for number in 1.. {
        if !spin(&mut receiver, 0, &mut received, &ended)? {
            break;
        }
        payload::check(&received, number)?;
        sender.send(0, payload.numbered(number))?;
    }
    partner::finish("done");
    Ok(())
}
