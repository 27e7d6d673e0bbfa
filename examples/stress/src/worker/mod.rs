//! A worker: random operations of all kinds, until it is ordered to end, or killed.

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

/// Consecutive operations on keys of the same sort, so that caches are warm as in real programs.
const BURST: usize = 8;
/// After how many bursts, on average, a worker changes its favourite sort.
///
/// Half of its bursts are of this sort. So workers with the same favourite often collide.
const FAVOURITE_BURSTS: usize = 1000;
/// How often an idle worker checks for orders.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Runs a worker until it is ordered to finish.
pub(crate) fn run(
    arena: &Arena,
    store: &Store,
    me: u64,
    orders: &Orders,
    recorder: &mut Recorder,
) -> Result<(), Box<dyn Error>> {
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let mut random = Random::new(mix(arena.seed) ^ mix(me));
    let mut values = Values::new(arena, store, me)?;
    let mut logs = Logs::new(arena, &bus, me)?;
    let mut queues = Queues::new(arena, &bus, me)?;
    let mut favourite = Sort::ALL[random.below(3)];
    while orders.latest() == Order::Work {
        if random.once_in(FAVOURITE_BURSTS) {
            favourite = Sort::ALL[random.below(3)];
        }
        let sort = if random.once_in(2) { favourite } else { Sort::ALL[random.below(3)] };
        for _ in 0..BURST {
            match sort {
                Sort::Value => values.step(&mut random, recorder),
                Sort::Log => logs.step(&mut random, recorder),
                Sort::Queue => queues.step(&mut random, recorder),
            }
        }
        recorder.report_if_due();
    }
    values.release_all(recorder);
    queues.requeue_all();
    recorder.enter(Phase::Quiet);
    // Other workers may still publish. Receiving frees the cells that they need.
    while orders.latest() != Order::Finish {
        logs.receive_all(recorder);
        queues.handle_all(recorder);
        recorder.report_if_due();
        thread::sleep(CHECK_INTERVAL);
    }
    logs.finish(recorder);
    queues.finish(recorder);
    drop((values, logs, queues));
    recorder.enter(Phase::Done);
    Ok(())
}
