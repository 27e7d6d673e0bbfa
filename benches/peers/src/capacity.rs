//! What keys cost: looking for one that is not there, making and opening room for them, and the room itself.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use splinter_bus::store::{Store, StoreOptions};

use crate::measure::{Figure, Task, batches, both_ends, histogram, percentiles};
use crate::peer::{Blank, Channel, Peer, Receiver, Sender};
#[cfg(feature = "libsplinter")]
use crate::peers::libsplinter;
use crate::system::Setup;
use crate::workload::Workload;

/// The keys that are looked for.
const MISSING: usize = 1024;

/// Looks for keys that a full store does not have.
pub(crate) fn miss(task: &Task) -> Result<Vec<Figure>> {
    let missing: Vec<_> = (0..MISSING).map(|key| format!("missing {key}")).collect();
    let mut at = 0;
    let mut next = move || {
        at = (at + 387) % MISSING;
        at
    };
    let lap = task.budget().lap;
    let times = match task.setup {
        Setup::SplinterBus => {
            let store = StoreOptions::new()
                .slots(task.size as u32)
                .max_value_size(64)
                .history(1)
                .spare(1)
                .create(&task.session)?;
            Store::remove(&task.session)?;
            for key in 0..task.size {
                store.set(&format!("key {key}"), &[7; 64])?;
            }
            let mut value = Vec::new();
            batches(lap, || {
                assert_eq!(black_box(store.get_into(&missing[next()], &mut value)?), None);
                Ok(())
            })?
        }
        #[cfg(feature = "libsplinter")]
        Setup::LibsplinterMop0 | Setup::LibsplinterMop1 => {
            let store = libsplinter::create(&task.session, task.size, 64)?;
            for key in 0..task.size {
                libsplinter::set(&store, &std::ffi::CString::new(format!("key {key}"))?, &[7; 64])?;
            }
            let missing: Vec<_> = missing.into_iter().map(std::ffi::CString::new).collect::<Result<_, _>>()?;
            let mut times = histogram();
            let start = Instant::now();
            // It looks at every slot: not in batches.
            while start.elapsed() < lap {
                let before = Instant::now();
                assert!(!black_box(libsplinter::is_there(&store, &missing[next()])));
                times.saturating_record(before.elapsed().as_nanos() as u64 * 1000);
            }
            times
        }
        _ => return Err(Blank("has no table in which a key is looked up: channels are opened by name, once").into()),
    };
    Ok(percentiles(&times))
}

/// Times the making, or the opening, of all that a sender or receiver of 1,000 keys needs.
pub(crate) fn create_or_open<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.workload.job(task.size);
    let mut times = histogram();
    let lap = task.budget().lap;
    let mut record = |since: Instant| times.saturating_record(since.elapsed().as_nanos() as u64 * 1000);
    if task.workload == Workload::Create {
        let start = Instant::now();
        for number in 0.. {
            let session = format!("{}-{number}", task.session);
            let before = Instant::now();
            let host = P::host(&session, job)?;
            let sender = P::sender(&session, Channel::There, job)?;
            record(before);
            drop(sender);
            drop(host);
            if start.elapsed() > lap {
                break;
            }
        }
    } else {
        // Opened by somebody else, in another process.
        let mut partner = crate::measure::Partner::start(task, 0)?;
        let start = Instant::now();
        while start.elapsed() < lap {
            let before = Instant::now();
            let receiver = P::receiver(&task.session, Channel::There, job)?;
            record(before);
            drop(receiver);
        }
        partner.end()?;
    }
    Ok(percentiles(&times))
}

/// Has made what is opened.
pub(crate) fn open_partner<P: Peer>(task: &Task) -> Result<()> {
    let job = task.workload.job(task.size);
    let _host = P::host(&task.session, job)?;
    let _sender = P::sender(&task.session, Channel::There, job)?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    println!("over");
    Ok(())
}

/// What 1,000 keys with a value of 64 bytes take, in this process.
pub(crate) fn footprint<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    if task.setup == Setup::Redis {
        return Err(Blank("keeps values in a process of its own").into());
    }
    let job = task.workload.job(task.size);
    let before = (memory()?, descriptors()?);
    let _host = P::host(&task.session, job)?;
    let (mut sender, mut receiver) = both_ends::<P>(&task.session, job)?;
    let mut received = Vec::new();
    for key in 0..job.keys {
        sender.send(key, &[7; 64])?;
        receiver.receive(key, &mut received)?;
    }
    Ok(vec![
        Figure::new("bytes", memory()?.saturating_sub(before.0) as f64, "B"),
        Figure::new("descriptors", descriptors()?.saturating_sub(before.1) as f64, ""),
    ])
}

/// What of the machine's memory is this process's, shared or not, in bytes.
fn memory() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    Ok(pss.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn descriptors() -> Result<u64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as u64)
}
