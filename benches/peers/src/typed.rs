//! From Rust value to Rust value. splinter-bus has types of its own, with an envelope and a checksum; the others carry the same bytes: those of a
//! struct that is its own encoding, or what postcard makes of one.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use splinter_bus::message::DecodeOwned;
use splinter_bus::{Bus, Message, Store, StoreOptions};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::measure::{Figure, Task, batches, both_ends, percentiles};
use crate::peer::{Peer, Receiver, Sender};
use crate::workload::Workload;

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

/// The size that stands for strings of 500 bytes in all; their encoding is filled up to it.
const STRINGS: usize = 512;

/// Values of splinter-bus's own types.
pub(crate) fn by_type(task: &Task) -> Result<Vec<Figure>> {
    if task.size == STRINGS {
        publish_and_receive(task, Strings::example(), |value, sequence| value.sequence = sequence)
    } else {
        publish_and_receive(task, Numbers::example(), |value, sequence| value.sequence = sequence)
    }
}

fn publish_and_receive<T: Message + DecodeOwned + PartialEq>(
    task: &Task,
    mut value: T,
    number: impl Fn(&mut T, u64),
) -> Result<Vec<Figure>> {
    let store = StoreOptions::new().slots(4).max_value_size(1024).create(&task.session)?;
    Store::remove(&task.session)?;
    let bus = Bus::<T>::on(store);
    let (mut publisher, mut subscriber) = (bus.publisher("key")?, bus.subscribe("key")?);
    let mut sequence = 0;
    let times = batches(task.budget().lap, || {
        sequence += 1;
        number(&mut value, sequence);
        publisher.publish(&value)?;
        let received = subscriber.try_recv()?.context("nothing was received")?;
        ensure!(**black_box(&received) == value, "another value was received");
        Ok(())
    })?;
    Ok(percentiles(&times))
}

/// Values as bytes, by any system.
pub(crate) fn by_bytes<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = Workload::Typed.job(task.size);
    let _host = P::host(&task.session, job)?;
    let (mut sender, mut receiver) = both_ends::<P>(&task.session, job)?;
    let (mut bytes, mut received, mut sequence) = (Vec::new(), Vec::new(), 0);
    let (mut numbers, mut strings) = (Numbers::example(), Strings::example());
    let times = batches(task.budget().lap, || {
        sequence += 1;
        if task.size == STRINGS {
            strings.sequence = sequence;
            bytes.clear();
            bytes = postcard::to_extend(&strings, std::mem::take(&mut bytes))?;
            bytes.resize(STRINGS, 0);
            sender.send(0, &bytes)?;
            while !receiver.receive(0, &mut received)? {}
            let (value, _): (Strings, _) = postcard::take_from_bytes(&received)?;
            ensure!(*black_box(&value) == strings, "another value was received");
        } else {
            numbers.sequence = sequence;
            sender.send(0, numbers.as_bytes())?;
            while !receiver.receive(0, &mut received)? {}
            let value = Numbers::read_from_bytes(&received).ok().context("a value of another length was received")?;
            ensure!(*black_box(&value) == numbers, "another value was received");
        }
        Ok(())
    })?;
    Ok(percentiles(&times))
}
