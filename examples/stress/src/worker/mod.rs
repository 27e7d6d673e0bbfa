//! One worker: a bit of everything at random, until it is told to stop, or killed.

use std::error::Error;
use std::thread;
use std::time::Duration;

use splinter_bus::Bus;
use splinter_bus::store::Store;

use crate::arena::{Arena, Sort};
use crate::orders::{Order, Orders};
use crate::random::{Random, mix};
use crate::recorder::Recorder;
use crate::tally::Phase;
use logs::Logs;
use queues::Queues;
use values::Values;

mod logs;
mod queues;
pub(crate) mod values;

/// How many operations of a sort are done in a row, so that the processor's caches are warm as in real programs.
const BURST: usize = 8;
/// How many of those until a worker may take to another sort. What one does mostly, it does often enough at once with another.
const SWING: usize = 1000;
/// How often orders are looked at when there is nothing else to do.
const LOOK_AROUND: Duration = Duration::from_millis(1);

/// Works until all is done.
pub(crate) fn run(
    arena: &Arena,
    store: &Store,
    me: u64,
    orders: &Orders,
    record: &mut Recorder,
) -> Result<(), Box<dyn Error>> {
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let mut random = Random::new(mix(arena.seed) ^ mix(me));
    let mut values = Values::new(arena, store, me)?;
    let mut logs = Logs::new(arena, &bus, me)?;
    let mut queues = Queues::new(arena, &bus, me)?;
    let mut mood = Sort::ALL[random.below(3)];
    while orders.latest() == Order::Work {
        if random.once_in(SWING) {
            mood = Sort::ALL[random.below(3)];
        }
        let sort = if random.once_in(2) { mood } else { Sort::ALL[random.below(3)] };
        for _ in 0..BURST {
            match sort {
                Sort::Value => values.step(&mut random, record),
                Sort::Log => logs.step(&mut random, record),
                Sort::Queue => queues.step(&mut random, record),
            }
        }
        record.report_in_time();
    }
    values.let_go(record);
    queues.let_go();
    record.enter(Phase::Quiet);
    // What is still published is to be received, and makes room.
    while orders.latest() != Order::Finish {
        logs.receive_all(record);
        queues.handle_all(record);
        record.report_in_time();
        thread::sleep(LOOK_AROUND);
    }
    logs.finish(record);
    queues.finish(record);
    drop((values, logs, queues));
    record.enter(Phase::Done);
    Ok(())
}
