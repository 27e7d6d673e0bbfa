//! Checks the store after all workers have ended: everything that they held must be free again.

use splinter_bus::Store;
use splinter_bus::store::{CellCounts, OpenError};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::value;

/// The maximum number of participants of a store.
const MAX_PARTICIPANTS: usize = 254;

/// Finds leaks and damaged values.
///
/// Opening a store releases what crashed participants held, so the checks open it first.
pub(crate) fn audit(arena: &Arena, store: &Store, defects: &mut Vec<Defect>) {
    let leak = |key: &str, what: String| Defect::new(Fault::Leak, key, 0, what);
    match store.participants() {
        Ok(participants) if participants != [store.participant()] => {
            defects.push(leak("", format!("all workers have ended, but these participants remain: {participants:?}")));
        }
        Ok(_) => {}
        Err(error) => defects.push(Defect::failed("", "participants", &error)),
    }
    let handles: Result<Vec<_>, OpenError> = (1..MAX_PARTICIPANTS).map(|_| arena.open()).collect();
    if let Err(error) = handles {
        defects.push(leak("", format!("the store cannot be opened by {MAX_PARTICIPANTS} participants: {error}")));
    }
    let all = arena.names().count() as u32 * (arena.history + arena.spare);
    let total = store.cells().total();
    if total != u64::from(all) {
        defects.push(leak("", format!("the store has {all} cells, but {total} were counted")));
    }
    for name in arena.names() {
        if let Err(defect) = audit_key(store, &name) {
            defects.push(defect);
        }
    }
    for key in 0..arena.keys {
        let name = arena.name(Sort::Value, key);
        let mut bytes = Vec::new();
        let checked = match store.get_into(&name, &mut bytes) {
            Ok(version) => value::check(&bytes, arena.number(Sort::Value, key), &name, version.unwrap_or(0)).map(drop),
            Err(error) => Err(Defect::failed(&name, "get", &error)),
        };
        defects.extend(checked.err());
    }
}

fn audit_key(store: &Store, name: &str) -> Result<(), Defect> {
    let leak = |what: String| Defect::new(Fault::Leak, name, 0, what);
    let slot = store.slot(name).map_err(|error| Defect::failed(name, "slot", &error))?;
    let cells = slot.cells();
    let CellCounts { in_flight: 0, pinned: 0, retained: 0, .. } = cells else {
        return Err(leak(format!("all workers have ended, but cells are held: {cells:?}")));
    };
    let snapshot = slot.snapshot().map_err(|error| Defect::failed(name, "snapshot", &error))?;
    if !snapshot.lossless.is_empty() {
        return Err(leak(format!("all workers have ended, but lossless cursors remain: {:?}", snapshot.lossless)));
    }
    if let Some(queue) = snapshot.queue
        && (queue.waiting, queue.taken) != (0, 0)
    {
        return Err(leak(format!("all jobs are acknowledged, but the queue is {queue:?}")));
    }
    // All cells except the newest one can be loaned at the same time.
    let loans = (1..cells.total()).map(|_| slot.loan(1)).collect::<Result<Vec<_>, _>>();
    loans.map(drop).map_err(|error| leak(format!("not all cells can be loaned at the same time: {error}")))
}
