//! The memory and the file descriptors of 1,000 keys with a value of 64 bytes each.

use std::fs;

use anyhow::{Context, Result};

use crate::endpoints;
use crate::figure::Figure;
use crate::peer::{Peer, Receiver, Sender, Unsupported};
use crate::system::Setup;
use crate::task::Task;

pub(crate) fn measure<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    if task.setup == Setup::Redis {
        return Err(Unsupported("keeps its values in the server process").into());
    }
    let spec = task.spec();
    let (memory_before, descriptors_before) = (memory()?, descriptors()?);
    let _host = P::host(&task.session, spec)?;
    let (mut sender, mut receiver) = endpoints::both::<P>(&task.session, spec)?;
    let mut received = Vec::new();
    for key in 0..spec.keys {
        sender.send(key, &[7; 64])?;
        receiver.receive(key, &mut received)?;
    }
    Ok(vec![
        Figure::new("bytes", memory()?.saturating_sub(memory_before) as f64, "B"),
        Figure::new("descriptors", descriptors()?.saturating_sub(descriptors_before) as f64, ""),
    ])
}

/// Returns the proportional set size of this process (private and shared memory) in bytes.
fn memory() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    Ok(pss.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn descriptors() -> Result<u64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as u64)
}
