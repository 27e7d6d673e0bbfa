//! Looking up keys by their names: those that a store contains, and those that a full store does not.

use std::hint::black_box;
#[cfg(feature = "libsplinter")]
use std::{ffi::CString, time::Instant};

use anyhow::Result;
use splinter_bus::store::{KeyOptions, Store, StoreOptions};

#[cfg(feature = "libsplinter")]
use crate::figure::histogram;
use crate::figure::{Figure, percentiles};
use crate::peer::Unsupported;
#[cfg(feature = "libsplinter")]
use crate::peers::libsplinter;
use crate::system::Setup;
use crate::task::Task;
use crate::timing::{scattered, time_in_batches};
use crate::workload::Workload;

/// How many different keys are looked up that do not exist.
const MISSING: usize = 1024;

const VALUE: [u8; 64] = [7; 64];

/// Addresses for each key, in bytes: 200,000 slots times this fit into the 8 TiB of a store.
const SPAN: u64 = 32 << 20;

pub(crate) fn measure(task: &Task) -> Result<Vec<Figure>> {
    let keys: Vec<_> = (0..task.size).map(|key| format!("key {key}")).collect();
    let (slots, wanted) = match task.workload {
        Workload::Miss => (keys.len(), (0..MISSING).map(|key| format!("missing {key}")).collect()),
        _ => (2 * keys.len(), keys.clone()),
    };
    let exists = task.workload != Workload::Miss;
    let mut next = scattered(wanted.len());
    let duration = task.budget().duration;
    let latencies = match task.setup {
        Setup::SplinterBus => {
            let store = StoreOptions::new()
                .slots(slots as u32)
                .span(SPAN)
                .key_options(KeyOptions::new().history(1).spare(1))
                .create(&task.session)?;
            Store::remove(&task.session)?;
            for key in &keys {
                store.set(key, &VALUE)?;
            }
            let mut value = Vec::new();
            time_in_batches(duration, || {
                assert_eq!(black_box(store.get_into(&wanted[next()], &mut value)?).is_some(), exists);
                Ok(())
            })?
        }
        #[cfg(feature = "libsplinter")]
        Setup::LibsplinterMop0 | Setup::LibsplinterMop1 => {
            let store = libsplinter::create(&task.session, slots, VALUE.len())?;
            for key in keys {
                libsplinter::set(&store, &CString::new(key)?, &VALUE)?;
            }
            let wanted: Vec<_> = wanted.into_iter().map(CString::new).collect::<Result<_, _>>()?;
            let mut value = VALUE;
            if exists {
                time_in_batches(duration, || {
                    assert!(black_box(libsplinter::get(&store, &wanted[next()], &mut value)));
                    Ok(())
                })?
            } else {
                let mut latencies = histogram();
                let start = Instant::now();
                // Timed one by one: a lookup scans all slots, so a batch would take too long.
                while start.elapsed() < duration {
                    let before = Instant::now();
                    assert!(!black_box(libsplinter::get(&store, &wanted[next()], &mut value)));
                    latencies.saturating_record(before.elapsed().as_nanos() as u64 * 1000);
                }
                latencies
            }
        }
        _ => return Err(Unsupported("has no lookup by key: channels are opened by name, once").into()),
    };
    Ok(percentiles(&latencies))
}
