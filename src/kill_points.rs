//! The steps of every protocol by name, so that a test can end or stop a process at each.
//!
//! In a usual build a step is nothing, not even a branch. Built with `--cfg kill_points`, a process that was armed ends itself, or
//! stops, where it reaches the step: by the same signals as from outside, and before its next instruction.

/// Declares the steps, and lists them.
macro_rules! steps {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Something was done that others may see; what belongs to it was not done yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(not(kill_points), allow(unreachable_pub, reason = "public where tests name it"))]
        pub enum Step {
            $($(#[$meta])* $name,)*
        }

        #[cfg(kill_points)]
        impl Step {
            /// All there are, in the order in which they are declared.
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
    // Taking a cell.
    /// It is marked to be overwritten.
    CellClaimed,
    /// The mark was taken off again: somebody wants the value.
    ClaimWithdrawn,
    /// It is ours alone.
    CellWriting,
    /// It is empty, and still ours.
    CellEmptied,
    /// It is free, and nobody who waits for room knows.
    CellAbandoned,

    // Filling it.
    /// It says how far bytes will reach.
    WrittenLenRaised,
    /// The bytes are there, and not their length.
    BytesWritten,
    /// Bytes and length are there.
    LengthWritten,
    /// What lay behind the value is zeroed, and the cell does not say so yet.
    TailZeroed,
    /// The cell is lent to whoever writes in place.
    CellLent,

    // Publishing it.
    /// The checksum is bound to the next version.
    CellSealed,
    /// It is published, and nobody was told.
    HeadMoved,
    /// It says so itself.
    CellCommitted,
    /// Another writer's cell says that it is published.
    OthersCellCommitted,

    // Writing a store in a file to the disk.
    /// The first version of an epoch is about to be published, and the disk may not say so yet.
    EpochAnnounced,
    /// A value is marked as the one that a flush writes to the disk.
    FlushBegun,
    /// All values are on the disk, and none is promised.
    FlushWritten,
    /// A value is promised, others are not.
    FlushEnded,

    // Waking.
    /// A sleeper is announced.
    EventListened,
    /// Nobody else will wake the sleepers.
    EventFlagCleared,
    /// Those who are about to sleep will not; those who do, still do.
    EventWordMoved,
    /// Those who wait for the key are awake, those who wait for any key are not.
    SlotNotified,

    // Reading in place.
    /// The cell is pinned, whatever it holds.
    PinSet,
    /// It no longer is, and what was to be done after that is not.
    PinTakenOff,

    // Lossless subscribers.
    /// The cursor is in place, and no writer heeds it.
    CursorPlaced,
    /// Writers heed it.
    LowWaterJoined,
    /// The floor says who is about to compute it again.
    LowWaterMarked,
    /// The floor was computed again.
    LowWaterMoved,
    /// The cursor moved on, and nobody who waits for room knows.
    CursorMoved,
    /// The cursor is gone, and nobody who waits for room knows.
    CursorRemoved,
    /// The cursor is evicted, and nobody who waits for free space knows.
    CursorEvicted,

    // Work queues.
    /// The key is declared a queue, and nobody takes messages from it yet.
    QueueTentative,
    /// The key is a queue.
    QueueDeclared,
    /// The message is ours.
    MessageLeased,
    /// It is done, or given back, and nobody was told.
    MessageFinished,

    // What the dead leave behind.
    /// A dead subscriber's cursor is gone.
    CursorReaped,
    /// A dead worker's message is anybody's.
    MessageReaped,
    /// A dead writer's cell is ours, to be emptied.
    CellInherited,
    /// A dead claimer's mark is gone.
    ClaimReaped,
    /// A dead reader's pin is gone.
    PinReaped,

    // Removing a key, and purging.
    /// The slot has no value, and its cells still do.
    HeadEmptied,
    /// A purge has said how far it goes, and has taken nothing.
    PurgeAnnounced,
    /// The older values are nobody's, and still there.
    BaseVersionRaised,

    // The directory.
    /// It is locked.
    DirectoryLocked,
    /// The journal names the slot that is being changed.
    JournalOpened,
    /// The slot is on no list.
    SlotUnlisted,
    /// A file's cells of earlier days are gone from a slot that was never used.
    SlotWiped,
    /// Its versions go on where any removed key's ended.
    VersionsSkipped,
    /// The key's text is there.
    KeyWritten,
    /// The slot has the key.
    KeyAssigned,
    /// The index leads to it.
    IndexInserted,
    /// The slot has no key.
    KeyUnassigned,
    /// Nor its text.
    KeyErased,
    /// What the next key's versions begin after is written down.
    HighestRaised,
    /// The index leads there no longer.
    IndexEntryDeleted,
    /// The slot can be given away again.
    SlotListed,
    /// The other table is filled.
    TableFilled,
    /// The other table is in use.
    TableSwitched,
    /// All is done but to unlock.
    JournalClosed,

    // Names of message types.
    /// The entry is taken for a fingerprint.
    SchemaEntered,
    /// Its text is there, and not the length.
    SchemaWritten,

    // Participants.
    /// The place is locked.
    ParticipantLocked,
    /// The place is marked as taken.
    ParticipantJoined,
    /// A dead participant holds nothing any more, and still has its place.
    ParticipantReaped,
    /// The place is marked as free, and still locked.
    ParticipantLeft,

    // Making a store.
    /// There is a file of a draft's name.
    DraftMade,
    /// It is locked.
    DraftLocked,
    /// It has its space.
    DraftReserved,
    /// The header is there but for the magic.
    HeaderWritten,
    /// The header is complete.
    MagicWritten,
    /// All of it is on the disk, under the draft's name.
    DraftFlushed,
    /// The store has its name.
    StoreNamed,

    // Opening a store in a file.
    /// Nobody else is opening it.
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

/// A step was done.
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

    /// What is to happen, and what has.
    struct Plan {
        /// The step, how often it is passed by before that, and how.
        armed: Option<(Step, usize, Ending)>,
        /// How often each step was passed by, if anybody wants to know.
        passed: Option<[usize; Step::ALL.len()]>,
    }

    static PLAN: Mutex<Plan> = Mutex::new(Plan { armed: None, passed: None });

    fn plan() -> MutexGuard<'static, Plan> {
        PLAN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has this process end when it reaches the step, after having passed it by `before` times from now on.
    pub fn arm(step: Step, before: usize, ending: Ending) {
        plan().armed = Some((step, before, ending));
    }

    /// Counts every step from now on.
    pub fn count() {
        plan().passed = Some([0; Step::ALL.len()]);
    }

    /// How often the step was passed by since [`count`].
    pub fn passed(step: Step) -> usize {
        plan().passed.map_or(0, |passed| passed[step as usize])
    }

    /// From now on nothing is counted, and nothing ends this process.
    pub fn disarm() {
        *plan() = Plan { armed: None, passed: None };
    }

    /// A step was done.
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
        let signal = match ending {
            Ending::Killed => Signal::KILL,
            Ending::Stopped => Signal::STOP,
        };
        kill_process(getpid(), signal).expect("a process may send itself signals");
    }
}
