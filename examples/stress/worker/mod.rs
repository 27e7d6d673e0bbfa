//! One worker: a bit of everything at random, until it is told to stop, or killed.

use std::error::Error;
use std::thread;
use std::time::Duration;

use splinter_bus::Bus;
use splinter_bus::store::Store;

use crate::arena::Arena;
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
    while orders.latest() == Order::Work {
        let sort = random.below(8);
        for _ in 0..BURST {
            match sort {
                0..4 => values.step(&mut random, record),
                4..7 => logs.step(&mut random, record),
                _ => queues.step(&mut random, record),
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
