//! The store after all who worked in it are gone: everything that they held is free again.

use splinter_bus::Store;
use splinter_bus::store::{CellCounts, OpenError};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::value;

/// How many may have a store open.
const PLACES: usize = 128;

/// Finds what is not as it should be. Whoever opens a store gives back what the dead held; so does this.
pub(crate) fn audit(arena: &Arena, store: &Store, defects: &mut Vec<Defect>) {
    let leak = |key: &str, what: String| Defect::new(Fault::Leak, key, 0, what);
    match store.participants() {
        Ok(participants) if participants != [store.participant()] => {
            defects.push(leak("", format!("all workers have ended, and these have the store open: {participants:?}")));
        }
        Ok(_) => {}
        Err(error) => defects.push(Defect::failed("", "participants", &error)),
    }
    let places: Result<Vec<_>, OpenError> = (1..PLACES).map(|_| arena.open()).collect();
    if let Err(error) = places {
        defects.push(leak("", format!("it cannot be opened as often as it should: {error}")));
    }
    let geometry = store.geometry();
    let all = geometry.slots * (geometry.history + geometry.spare);
    let total = store.cells().total();
    if total != u64::from(all) {
        defects.push(leak("", format!("of {all} cells, {total} are accounted for")));
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
        return Err(leak(format!("nobody holds anything, and yet {cells:?}")));
    };
    let snapshot = slot.snapshot().map_err(|error| Defect::failed(name, "snapshot", &error))?;
    if !snapshot.lossless.is_empty() {
        return Err(leak(format!("nobody is to receive anything, and yet {:?}", snapshot.lossless)));
    }
    if let Some(queue) = snapshot.queue
        && (queue.waiting, queue.taken) != (0, 0)
    {
        return Err(leak(format!("all is done, and yet {queue:?}")));
    }
    // Each cell but the newest can be had, all at a time.
    let loans = (1..cells.total()).map(|_| slot.loan(1)).collect::<Result<Vec<_>, _>>();
    loans.map(drop).map_err(|error| leak(format!("not all cells can be lent at once: {error}")))
}
