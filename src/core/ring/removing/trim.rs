//! Giving back space that no value needs: the places of values that are not history any more, and
//! those of cells that hold short values now.
//!
//! - A cell whose value is older than history is claimed and emptied, as by a writer that abandons
//!   it: its places go with it.
//! - A cell whose value is short and stays is claimed, and its places are given back while it is in
//!   the state "claimed": the value stays readable, and no writer touches the cell. A participant
//!   that pinned it before has the claim withdrawn: it may be zeroing the places. One that pins it
//!   later finds the claim, and tries again or copies. The newest value's cell is left alone, because
//!   there must be no claim on it.
//!
//! **Crash** while a cell is claimed: its places may be punched in part. Their bits in `residue` are
//! set until all of it is done, and `reserved` is 0 by then, so the next writer reserves again what it
//! needs, or gives it back. The participant that reaps the claim frees the cell.

use crate::core::memory::cell_view::CellView;
use crate::core::ring::cell;
use crate::core::ring::publishing::claim::withdraw;
use crate::core::ring::publishing::storage::{Storage, has_places};
use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::word::MAX_VERSION;

impl<'a> Ring<'a> {
    /// Gives back all space of the slot that no value needs. Returns how many bytes that were.
    ///
    /// Values that are the newest, history, retained or pinned stay.
    pub(crate) fn trim(self) -> u64 {
        self.reap_holders();
        let cells = self.cells().filter(|&(_, cell)| has_places(cell));
        cells.map(|(index, cell)| self.trim_cell(index, cell)).sum()
    }

    fn trim_cell(self, index: u32, cell: CellView<'a>) -> u64 {
        let len = cell::len(cell);
        let keep = Keep::Newest(self.history_of(len));
        if let Ok(claim) = self.claim_cell(index, keep, None) {
            let given_back = self.release_places(index);
            self.abandon(claim);
            return given_back;
        }
        // A claim that was withdrawn may have kept others from emptying the cell.
        self.discard_if_retired(index);
        if let Storage::Place(_) = self.storage(index, len) { 0 } else { self.trim_below_short_value(index, cell) }
    }

    /// Gives back the places of a cell that holds a short value, which stays.
    fn trim_below_short_value(self, index: u32, cell: CellView<'a>) -> u64 {
        // Whatever is neither pinned nor the newest value.
        let Ok((seen, _)) = self.mark_claimed(index, cell.header, Keep::After(MAX_VERSION), None, None) else {
            self.discard_if_retired(index);
            return 0;
        };
        // The length is that of this version: the cell is ours.
        let is_short = !matches!(self.storage(index, cell::len(cell)), Storage::Place(_));
        let given_back = if is_short && self.is_still_current() { self.release_places(index) } else { 0 };
        withdraw(cell.header, seen);
        self.notify(self.not_full());
        self.discard_if_retired(index);
        given_back
    }
}
