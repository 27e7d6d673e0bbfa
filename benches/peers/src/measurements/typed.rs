//! From Rust value to Rust value, in one thread.
//!
//! splinter-bus sends typed messages, with an envelope and a checksum. The other systems send the
//! bytes of the same values: the memory of a plain struct, or the postcard encoding of strings.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use splinter_bus::message::DecodeOwned;
use splinter_bus::{Bus, Message, Store, StoreOptions};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::endpoints;
use crate::figure::{Figure, percentiles};
use crate::peer::{Peer, Receiver, Sender};
use crate::task::Task;
use crate::timing::time_in_batches;

#[derive(Debug, Clone, Copy, PartialEq, Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Numbers {
    sequence: u64,
    numbers: [u64; 7],
}

#[derive(Debug, Clone, PartialEq, Message, Serialize, Deserialize)]
struct Strings {
    model: String,
    system: String,
    prompt: String,
    stop: Vec<String>,
    sequence: u64,
}

impl Numbers {
    fn example() -> Self {
        Self { sequence: 0, numbers: [7; 7] }
    }
}

impl Strings {
    fn example() -> Self {
        let text = |len| "a prompt to a model ".chars().cycle().take(len).collect::<String>();
        Self { model: text(30), system: text(150), prompt: text(300), stop: vec![text(10), text(10)], sequence: 0 }
    }
}

/// The size that selects strings: 500 bytes in all. Their encoding is padded to this size.
const STRINGS: usize = 512;

/// Measures typed messages of splinter-bus.
pub(crate) fn measure_typed(task: &Task) -> Result<Vec<Figure>> {
    if task.size == STRINGS {
        publish_and_receive(task, Strings::example(), |value, sequence| value.sequence = sequence)
    } else {
        publish_and_receive(task, Numbers::example(), |value, sequence| value.sequence = sequence)
    }
}

fn publish_and_receive<T: Message + DecodeOwned + PartialEq>(
    task: &Task,
    mut value: T,
    set_sequence: impl Fn(&mut T, u64),
) -> Result<Vec<Figure>> {
    let store = StoreOptions::new().slots(4).create(&task.session)?;
    Store::remove(&task.session)?;
    let bus = Bus::<T>::on(store);
    let (mut publisher, mut subscriber) = (bus.publisher("key")?, bus.subscribe("key")?);
    let mut sequence = 0;
    let latencies = time_in_batches(task.budget().duration, || {
        sequence += 1;
        set_sequence(&mut value, sequence);
        publisher.publish(&value)?;
        let received = subscriber.try_recv()?.context("nothing was received")?;
        ensure!(**black_box(&received) == value, "a different value was received");
        Ok(())
    })?;
    Ok(percentiles(&latencies))
}

/// Measures encoded values, sent as bytes over any system.
pub(crate) fn measure_bytes<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let spec = task.spec();
    let _host = P::host(&task.session, spec)?;
    let (mut sender, mut receiver) = endpoints::both::<P>(&task.session, spec)?;
    let (mut bytes, mut received, mut sequence) = (Vec::new(), Vec::new(), 0);
    let (mut numbers, mut strings) = (Numbers::example(), Strings::example());
    let latencies = time_in_batches(task.budget().duration, || {
        sequence += 1;
        if task.size == STRINGS {
            strings.sequence = sequence;
            bytes.clear();
            bytes = postcard::to_extend(&strings, std::mem::take(&mut bytes))?;
            bytes.resize(STRINGS, 0);
            sender.send(0, &bytes)?;
            while !receiver.receive(0, &mut received)? {}
            let (value, _): (Strings, _) = postcard::take_from_bytes(&received)?;
            ensure!(*black_box(&value) == strings, "a different value was received");
        } else {
            numbers.sequence = sequence;
            sender.send(0, numbers.as_bytes())?;
            while !receiver.receive(0, &mut received)? {}
            let value =
                Numbers::read_from_bytes(&received).ok().context("a value of a different length was received")?;
            ensure!(*black_box(&value) == numbers, "a different value was received");
        }
        Ok(())
    })?;
    Ok(percentiles(&latencies))
}
