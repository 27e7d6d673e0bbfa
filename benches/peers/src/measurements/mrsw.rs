//! One process writes and one reads, as fast as they can: reads and writes per second.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::endpoints;
use crate::figure::Figure;
use crate::partner::{self, Partner};
use crate::payload::{self, Payload};
use crate::peer::{Channel, Peer, Receiver, Sender};
use crate::task::Task;
use crate::timing::{BATCH, pin_to_core, scattered};

/// Reads, and checks that no value is torn and no key goes back to an older value.
pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let receiver = || P::receiver(&task.session, Channel::Forward, spec);
    let (mut partner, mut receiver) =
        endpoints::in_order(P::receiver_first(spec.pattern), || Partner::start(task, 0), receiver)?;
    let (mut received, mut newest) = (Vec::new(), vec![0; spec.keys]);
    let (mut reads, mut torn, mut next_key) = (0u64, 0u64, scattered(spec.keys));
    pin_to_core(0)?;
    partner.begin()?;
    let start = Instant::now();
    while start.elapsed() < task.budget().duration {
        for _ in 0..BATCH {
            let key = next_key();
            if !receiver.receive(key, &mut received)? {
                continue;
            }
            match payload::untorn(&received) {
                Some(number) => {
                    ensure!(number >= newest[key], "key {key}: value {number} was read after {}", newest[key]);
                    newest[key] = number;
                    reads += 1;
                }
                None => torn += 1,
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let writes: f64 = partner.end_while_receiving(|| receiver.receive(0, &mut received).map(drop))?.parse()?;
    ensure!(torn == 0, "{torn} torn reads");
    ensure!(reads > 0, "nothing was read");
    Ok(vec![Figure::new("reads", reads as f64 / seconds, "/s"), Figure::new("writes", writes, "/s")])
}

/// Writes until the worker ends it, and returns the writes per second.
pub(crate) fn partner<P: Peer>(task: &Task) -> Result<()> {
    let spec = task.spec();
    let mut sender = P::sender(&task.session, Channel::Forward, spec)?;
    let (mut payload, mut next_key) = (Payload::new(spec.size), scattered(spec.keys));
    for key in 0..spec.keys {
        sender.send(key, payload.filled(0))?;
    }
    pin_to_core(1)?;
    let ended = partner::ready()?;
    let start = Instant::now();
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        number += 1;
        sender.send(next_key(), payload.filled(number))?;
    }
    partner::finish(&(number as f64 / start.elapsed().as_secs_f64()).to_string());
    Ok(())
}
