//! Looking up keys that a full store does not contain.

use std::hint::black_box;
#[cfg(feature = "libsplinter")]
use std::time::Instant;

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

/// How many different keys are looked up.
const MISSING: usize = 1024;

pub(crate) fn measure(task: &Task) -> Result<Vec<Figure>> {
    let missing: Vec<_> = (0..MISSING).map(|key| format!("missing {key}")).collect();
    let mut next = scattered(MISSING);
    let duration = task.budget().duration;
    let latencies = match task.setup {
        Setup::SplinterBus => {
            let store = StoreOptions::new()
                .slots(task.size as u32)
                .key_options(KeyOptions::new().history(1).spare(1))
                .create(&task.session)?;
            Store::remove(&task.session)?;
            for key in 0..task.size {
                store.set(&format!("key {key}"), &[7; 64])?;
            }
            let mut value = Vec::new();
            time_in_batches(duration, || {
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
            let mut latencies = histogram();
            let start = Instant::now();
            // Timed one by one: a lookup scans all slots, so a batch would take too long.
            while start.elapsed() < duration {
                let before = Instant::now();
                assert!(!black_box(libsplinter::contains(&store, &missing[next()])));
                latencies.saturating_record(before.elapsed().as_nanos() as u64 * 1000);
            }
            latencies
        }
        _ => return Err(Unsupported("has no lookup by key: channels are opened by name, once").into()),
    };
    Ok(percentiles(&latencies))
}
