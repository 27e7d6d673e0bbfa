//! Publish and receive in one thread, of one key or of many.

use anyhow::Result;

use crate::endpoints;
use crate::figure::{Figure, percentiles};
use crate::payload::{self, Payload};
use crate::peer::{Peer, Receiver, Sender};
use crate::task::Task;
use crate::timing::{pin_to_core, scattered, time_in_batches};

pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let (mut sender, mut receiver) = endpoints::both::<P>(&task.session, spec)?;
    let (mut payload, mut received) = (Payload::new(spec.size), Vec::new());
    let (mut next_key, mut number) = (scattered(spec.keys), 0);
    pin_to_core(0)?;
    let latencies = time_in_batches(task.budget().duration, || {
        let key = next_key();
        number += 1;
        sender.send(key, payload.numbered(number))?;
        while !receiver.receive(key, &mut received)? {}
        payload::check(&received, number)
    })?;
    Ok(percentiles(&latencies))
}
