//! Messages to a process that sleeps: the time from sending to receiving.

use std::thread;
#[cfg(feature = "libsplinter")]
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::endpoints;
use crate::figure::{Figure, histogram, percentiles};
use crate::partner::{self, Partner};
use crate::payload::{self, Payload};
use crate::peer::{Channel, Peer, Receiver, Sender};
#[cfg(feature = "libsplinter")]
use crate::system::Setup;
use crate::task::Task;
use crate::timing::{monotonic_nanos, pin_to_core};
use crate::workload::Budget;

/// Sent instead of a time, this number ends the partner.
const LAST: u64 = u64::MAX;

pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let sender = || P::sender(&task.session, Channel::Forward, spec);
    let (mut sender, mut partner) =
        endpoints::in_order(P::receiver_first(spec.pattern), sender, || Partner::start(task, 0))?;
    let mut payload = Payload::new(spec.size);
    pin_to_core(0)?;
    partner.begin()?;
    for _ in 0..task.budget().wakes {
        thread::sleep(Budget::PAUSE);
        // libsplinter polls the key every 10 ms. Only a longer pause is certain to find it asleep.
        #[cfg(feature = "libsplinter")]
        if matches!(task.setup, Setup::LibsplinterMop0 | Setup::LibsplinterMop1) {
            thread::sleep(Duration::from_millis(11));
        }
        sender.send(0, payload.numbered(monotonic_nanos()))?;
    }
    thread::sleep(Budget::DRAIN);
    sender.send(0, payload.numbered(LAST))?;
    Ok(serde_json::from_str(&partner.end()?)?)
}

/// Receives messages that contain their time of sending, and returns the percentiles of the
/// latency.
pub(crate) fn partner<P: Peer>(task: &Task) -> Result<()> {
    let mut receiver = P::receiver(&task.session, Channel::Forward, task.spec())?;
    let (mut latencies, mut received) = (histogram(), Vec::new());
    pin_to_core(1)?;
    partner::ready()?;
    loop {
        receiver.wait(&mut received)?;
        let arrived = monotonic_nanos();
        let sent = payload::number(&received);
        if sent == LAST {
            break;
        }
        payload::check(&received, sent)?;
        latencies.saturating_record(arrived.saturating_sub(sent) * 1000);
    }
    let (count, expected) = (latencies.len(), task.budget().wakes as u64);
    ensure!(count * 10 >= expected * 9, "only {count} of {expected} messages arrived");
    partner::finish(&serde_json::to_string(&percentiles(&latencies))?);
    Ok(())
}
