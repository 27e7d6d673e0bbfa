//! Kill points: the steps of every protocol by name, so that a test can kill or stop a process at
//! each.
//!
//! A step stands directly after a change that other processes may see. In a usual build it is
//! nothing, not even a branch. Built with `--cfg kill_points`, a process that a test has armed
//! sends itself SIGKILL or SIGSTOP where it reaches the step, before its next instruction.

/// Declares the steps and the list of all of them.
macro_rules! steps {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// A step of a protocol: what was just changed. What follows from the change was not done
        /// yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(not(kill_points), allow(unreachable_pub, reason = "public where tests name it"))]
        pub enum Step {
            $($(#[$meta])* $name,)*
        }

        #[cfg(kill_points)]
        impl Step {
            /// All steps, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The step of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

steps! {
    // Claiming a cell.
    /// A cell was chosen by what the handle knows of its key.
    CellChosen,
    /// The cell is marked as claimed, and still readable.
    CellClaimed,
    /// The claim was withdrawn: the value is pinned or retained, or the slot has another key.
    ClaimWithdrawn,
    /// The cell is ours alone.
    CellWriting,
    /// A slot without a key has the shape of its next key.
    ShapeWritten,
    /// The space of more cells is reserved.
    CellsReserved,
    /// The page of a cell is reserved, and the cell does not say so.
    PageReserved,
    /// The cell says that it has a place for a long value, and nothing is reserved there.
    PlaceMarked,
    /// The place is reserved, and its side record does not say so.
    PlaceReserved,
    /// The side record says how much is reserved.
    PlaceRecorded,
    /// The side record says that nothing is reserved, and the space is still there.
    ReservationErased,
    /// The space of the places is given back, and the cell still says that it has some.
    PlacesPunched,
    /// The cell is empty, and still ours.
    CellEmptied,
    /// The cell is free, and no publisher that waits was notified.
    CellAbandoned,

    // Filling it.
    /// `residue`, or `written` of the side record, covers the bytes that are about to be written.
    WrittenLenRaised,
    /// The bytes are written, and not their length.
    BytesWritten,
    /// Bytes and length are written.
    LengthWritten,
    /// The bytes after the value are zeroed, and `residue`, or `written`, does not say so yet.
    TailZeroed,
    /// The cell is lent to a publisher that writes in place.
    CellLent,

    // Publishing it.
    /// The checksum covers the next version.
    CellSealed,
    /// The value is published; the cell is not committed and nobody was notified.
    HeadMoved,
    /// The cell is committed.
    CellCommitted,
    /// The published cell of another writer is committed.
    OthersCellCommitted,

    // Writing a store in a file to the disk.
    /// The first version of an epoch is about to be published, and the disk may not know the epoch
    /// yet.
    EpochAnnounced,
    /// A value is marked as the one that a flush writes to the disk.
    FlushBegun,
    /// All values are on the disk, and none is promised.
    FlushWritten,
    /// One slot's value is promised, and those of later slots are not.
    FlushEnded,

    // Waking.
    /// A sleeper is announced.
    EventListened,
    /// No other process will wake the sleepers.
    EventFlagCleared,
    /// Processes that are about to sleep will not; those that sleep are not woken.
    EventWordMoved,
    /// Waiters for the key are awake; waiters for any key are not.
    SlotNotified,

    // Reading in place.
    /// The pin is set, and the cell may hold any version.
    PinSet,
    /// The pin is cleared; nobody was notified, and a retired value was not discarded.
    PinTakenOff,

    // Lossless subscribers.
    /// The cursor is written, and writers do not respect it yet.
    CursorPlaced,
    /// Writers respect the cursor.
    LowWaterJoined,
    /// The low-water mark names the thread that is about to compute it.
    LowWaterMarked,
    /// The low-water mark was computed.
    LowWaterMoved,
    /// The cursor moved on, and no publisher that waits was notified.
    CursorMoved,
    /// The cursor is removed, and no publisher that waits was notified.
    CursorRemoved,
    /// The cursor is evicted, and no publisher that waits was notified.
    CursorEvicted,

    // Work queues.
    /// The key is declared a queue, tentatively: no worker leases messages from it yet.
    QueueTentative,
    /// The key is a queue.
    QueueDeclared,
    /// The message is leased to us.
    MessageLeased,
    /// The message is done or requeued, and nobody was notified.
    MessageFinished,

    // Reaping a crashed participant.
    /// A cursor was removed.
    CursorReaped,
    /// A message was requeued.
    MessageReaped,
    /// A cell that it was writing is ours, to be emptied.
    CellInherited,
    /// A claim was withdrawn.
    ClaimReaped,
    /// A pin was cleared.
    PinReaped,

    // Removing a key, and purging.
    /// The slot has no value; its cells still hold bytes.
    HeadEmptied,
    /// The purge has written its intent, and has retired nothing.
    PurgeAnnounced,
    /// The older values are retired; their cells still hold bytes.
    BaseVersionRaised,

    // The directory.
    /// The directory is locked.
    DirectoryLocked,
    /// The journal names the slot that is being changed.
    JournalOpened,
    /// The slot is not in the list of free slots.
    SlotUnlisted,
    /// Cells that a file had left in a slot that was never used are emptied.
    SlotWiped,
    /// The slot's versions go on above those of every removed key.
    VersionsSkipped,
    /// The key's text is written.
    KeyWritten,
    /// The slot has the key.
    KeyAssigned,
    /// The index leads to the slot.
    IndexInserted,
    /// The slot has no key.
    KeyUnassigned,
    /// The key's text is erased.
    KeyErased,
    /// The version above which the next key begins is written.
    HighestRaised,
    /// The index does not lead to the slot any more.
    IndexEntryDeleted,
    /// The slot is in the list of free slots.
    SlotListed,
    /// The other table is filled.
    TableFilled,
    /// The other table is in use.
    TableSwitched,
    /// The journal is closed; the directory is still locked.
    JournalClosed,

    // Message types in the store.
    /// The type's key is created, and has no value yet.
    TypeKeyCreated,
    /// The type is in the store, and not pinned yet.
    TypeWritten,
    /// Some types seem to be unused, and the directory is not locked yet.
    TypesCounted,

    // Participants.
    /// The entry is locked.
    ParticipantLocked,
    /// The entry is marked as owned.
    ParticipantJoined,
    /// A crashed participant holds nothing any more; its entry is still marked as owned.
    ParticipantReaped,
    /// The entry is marked as free, and still locked.
    ParticipantLeft,

    // Creating a store.
    /// A file with a draft's name exists.
    DraftMade,
    /// The draft is locked.
    DraftLocked,
    /// The draft's space is reserved.
    DraftReserved,
    /// The header is written, except for the magic.
    HeaderWritten,
    /// The header is complete.
    MagicWritten,
    /// All of it is on the disk, under the draft's name.
    DraftFlushed,
    /// The store has its name.
    StoreNamed,

    // Opening a store in a file.
    /// No other process is opening it.
    OpeningLocked,
    /// It is marked as not sound.
    CleanEpochCleared,
    /// A slot is sound.
    SlotRecovered,
    /// It is marked as sound.
    CleanEpochWritten,
}

#[cfg(kill_points)]
pub use armed::{Ending, arm, count, disarm, passed};

#[cfg(kill_points)]
pub(crate) use armed::reached;

/// Marks the place where a step was done.
#[cfg(not(kill_points))]
#[inline(always)]
pub(crate) fn reached(_: Step) {}

#[cfg(kill_points)]
mod armed {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Step;

    /// How a process ends at a step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Ending {
        /// SIGKILL.
        Killed,
        /// SIGSTOP, until somebody sends SIGCONT.
        Stopped,
    }

    /// The armed step, and the counts.
    struct Plan {
        /// The step, how often it is passed before the process ends there, and how it ends.
        armed: Option<(Step, usize, Ending)>,
        /// How often each step was passed, while steps are counted.
        passed: Option<[usize; Step::ALL.len()]>,
    }

    static PLAN: Mutex<Plan> = Mutex::new(Plan { armed: None, passed: None });

    fn plan() -> MutexGuard<'static, Plan> {
        PLAN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a step: this process ends when it reaches it, after having passed it `before` times
    /// from now on.
    pub fn arm(step: Step, before: usize, ending: Ending) {
        plan().armed = Some((step, before, ending));
    }

    /// Counts every step from now on.
    pub fn count() {
        plan().passed = Some([0; Step::ALL.len()]);
    }

    /// How often the step was passed since [`count`].
    pub fn passed(step: Step) -> usize {
        plan().passed.map_or(0, |passed| passed[step as usize])
    }

    /// Counts no steps and ends this process at none, from now on.
    pub fn disarm() {
        *plan() = Plan { armed: None, passed: None };
    }

    /// Marks the place where a step was done.
    pub(crate) fn reached(step: Step) {
        let mut plan = plan();
        if let Some(passed) = &mut plan.passed {
            passed[step as usize] += 1;
        }
        let ending = match &mut plan.armed {
            Some((armed, 0, ending)) if *armed == step => *ending,
            Some((armed, before, _)) if *armed == step => {
                *before -= 1;
                return;
            }
            _ => return,
        };
        plan.armed = None;
        drop(plan);
        match ending {
            Ending::Killed => kill_process(getpid(), Signal::KILL).expect("a process may send itself signals"),
            Ending::Stopped => stop(),
        }
    }

    /// Stops the process, here. A signal to the process as a whole would stop it by another thread, and
    /// this one would run on until then, past other steps.
    #[allow(unsafe_code)]
    fn stop() {
        // SAFETY: `raise` has no requirements. No handler can be set for this signal.
        let result = unsafe { libc::raise(libc::SIGSTOP) };
        assert_eq!(result, 0, "a thread may send itself signals");
    }
}
