//! Two processes send to one, which must receive every message: messages per second.

use std::hint;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::endpoints;
use crate::figure::Figure;
use crate::partner::{self, Partner};
use crate::payload::{self, Payload};
use crate::peer::{Channel, Peer, Receiver, Sender};
use crate::task::Task;
use crate::timing::BATCH;

/// A message's number has the index of the sender above these bits, and the sequence number in
/// them.
const SEQUENCE_BITS: u32 = 48;

/// Receives, and checks that no message of either sender is missing.
pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let receiver = || P::receiver(&task.session, Channel::Forward, spec);
    let senders = || Ok([Partner::start(task, 0)?, Partner::start(task, 1)?]);
    let (mut partners, mut receiver) = endpoints::in_order(P::receiver_first(spec.pattern), senders, receiver)?;
    let (mut received, mut next) = (Vec::new(), [1u64; 2]);
    // In some systems, a receiver discovers new senders only when it receives. Earlier messages
    // would be lost.
    ensure!(!receiver.receive(0, &mut received)?, "a message came before any was sent");
    partners.iter_mut().try_for_each(Partner::begin)?;
    let start = Instant::now();
    while start.elapsed() < task.budget().duration {
        for _ in 0..BATCH {
            if !receiver.receive(0, &mut received)? {
                hint::spin_loop();
                continue;
            }
            let number = payload::number(&received);
            payload::check(&received, number)?;
            let sender = (number >> SEQUENCE_BITS) as usize;
            let sequence = number & ((1 << SEQUENCE_BITS) - 1);
            ensure!(sequence == next[sender], "sender {sender}: expected message {}, got {sequence}", next[sender]);
            next[sender] += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let count = next.iter().map(|next| next - 1).sum::<u64>() as f64;
    // Killed, because they may be blocked on a full queue that is no longer drained.
    drop(partners);
    ensure!(count > 0.0, "nothing was received");
    Ok(vec![Figure::new("reads", count / seconds, "/s")])
}

/// Sends until the worker kills it.
pub(crate) fn partner<P: Peer>(task: &Task) -> Result<()> {
    let spec = task.spec();
    let channel = [Channel::Forward, Channel::Backward][task.partner];
    let mut sender = P::sender(&task.session, channel, spec)?;
    let mut payload = Payload::new(spec.size);
    let ended = partner::ready()?;
    for sequence in 1.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        sender.send(0, payload.numbered((task.partner as u64) << SEQUENCE_BITS | sequence))?;
    }
    partner::finish("done");
    Ok(())
}
