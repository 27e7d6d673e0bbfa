//! Creating the two ends of a channel, and receiving in a spin loop.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use crate::peer::{Channel, ChannelSpec, Peer, Receiver};

/// Creates the sending and the receiving side, in the order that the system needs.
pub(crate) fn in_order<S, R>(
    receiver_first: bool,
    sender: impl FnOnce() -> Result<S>,
    receiver: impl FnOnce() -> Result<R>,
) -> Result<(S, R)> {
    if receiver_first {
        let receiver = receiver()?;
        Ok((sender()?, receiver))
    } else {
        Ok((sender()?, receiver()?))
    }
}

/// Creates both ends of the forward channel in this process.
pub(crate) fn both<P: Peer>(session: &str, spec: ChannelSpec) -> Result<(P::Sender, P::Receiver)> {
    let sender = || P::sender(session, Channel::Forward, spec);
    let receiver = || P::receiver(session, Channel::Forward, spec);
    in_order(P::receiver_first(spec.pattern), sender, receiver)
}

/// Spins until a message of `key` arrives. Returns `false` if `ended` is set before that.
pub(crate) fn spin(receiver: &mut impl Receiver, key: usize, into: &mut Vec<u8>, ended: &AtomicBool) -> Result<bool> {
    while !receiver.receive(key, into)? {
        if ended.load(Ordering::Relaxed) {
            return Ok(false);
        }
        hint::spin_loop();
    }
    Ok(true)
}
