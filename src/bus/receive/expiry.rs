//! Whether a message has expired.
//!
//! The wall clock may jump, so the age of a message is taken from the boot clock. That is possible
//! only if the message was sent in this run of the machine. Otherwise the wall clock decides, as far
//! as it is known.
//!
//! A frame has 32 bits of the boot clock, in milliseconds. So differences are known modulo 2^32 ms,
//! and half of the range means "later". While the machine has run for less than that half, they are exact.
//! After that, the wall clock decides where the boot clock is ambiguous.

use std::time::Duration;

/// How far the boot clock of a message may be ahead: that of its sender may count its milliseconds
/// a little differently. More means that it is a time of another machine, or of a long time ago.
const MAX_AHEAD: u32 = 1000;

/// The boot clock distinguishes ages below this one.
const BOOT_RANGE: Duration = Duration::from_millis(1 << 31);

/// A time by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Nanoseconds since the Unix epoch.
    pub(super) wall: u64,
    /// Milliseconds of the boot clock; of a message, modulo 2^32.
    pub(super) boot: u64,
}

/// The age of a message. If the clock that decides is ahead in the message, the age is 0.
///
/// By the boot clock, it may be up to a millisecond too short, or too long. A message of exactly its
/// ttl is valid, so it never expires too early.
pub(super) fn age(sent: Times, now: Times, is_of_this_boot: bool) -> Duration {
    let by_wall = Duration::from_nanos(now.wall.saturating_sub(sent.wall));
    let is_exact = Duration::from_millis(now.boot) < BOOT_RANGE;
    if !is_of_this_boot || !is_exact && by_wall >= BOOT_RANGE {
        return by_wall;
    }
    let by_boot = (now.boot as u32).wrapping_sub(sent.boot as u32);
    if by_boot.wrapping_neg() <= MAX_AHEAD {
        return Duration::ZERO;
    }
    let by_boot = Duration::from_millis(by_boot.into());
    if by_boot < BOOT_RANGE { by_boot } else { by_wall }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a machine's clocks may say, and the age in milliseconds.
    #[test]
    fn the_boot_clock_decides_unless_it_cannot_know() {
        const DAY: u64 = 24 * 3600 * 1000;
        /// A wall clock at which nothing has wrapped, in milliseconds.
        const WALL: u64 = 20_000 * DAY;
        let this_boot = true;
        for (what, sent, now, is_of_this_boot, expected) in [
            ("both agree", (WALL, 5000), (WALL + 70, 5070), this_boot, 70),
            ("at the same moment", (WALL, 5000), (WALL, 5000), this_boot, 0),
            ("the wall clock was set forward", (WALL, 5000), (WALL + DAY, 5070), this_boot, 70),
            ("the wall clock was set forward by a month", (WALL, 5000), (WALL + 30 * DAY, 5070), this_boot, 70),
            ("the wall clock was set back", (WALL, 5000), (WALL - DAY, 5070), this_boot, 70),
            ("sent before a reboot", (WALL, 9_000_000), (WALL + DAY, 5070), false, DAY),
            ("sent before a reboot, by clocks that happen to fit", (WALL, 5000), (WALL + DAY, 5070), false, DAY),
            ("sent before a reboot, by a wall clock that is ahead", (WALL + 1, 5000), (WALL, 5070), false, 0),
            ("the boot clock wraps", (WALL, (1 << 32) - 10), (WALL + 30, (1 << 32) + 20), this_boot, 30),
            ("slightly ahead", (WALL, 5001), (WALL + 70, 5000), this_boot, 0),
            ("slightly ahead at the wrap", (WALL, 3), (WALL + 70, (1 << 32) - 1), this_boot, 0),
            ("as far ahead as is plausible", (WALL, 6000), (WALL + 70, 5000), this_boot, 0),
            ("further ahead", (WALL, 6001), (WALL + 70, 5000), this_boot, 70),
            ("the oldest that the boot clock knows", (WALL, 5000), (WALL, (1 << 31) + 4999), this_boot, (1 << 31) - 1),
            (
                "older than that, by a wall clock that was set back",
                (WALL, 5000),
                (WALL + 70, (1 << 31) + 5000),
                this_boot,
                70,
            ),
            ("25 days old", (WALL, 5000), (WALL + 25 * DAY, 25 * DAY + 5000), this_boot, 25 * DAY),
            ("one turn of the boot clock old", (WALL, 5000), (WALL + (1 << 32), (1 << 32) + 5000), this_boot, 1 << 32),
            (
                "one turn and a little",
                (WALL, 5000),
                (WALL + (1 << 32) + 70, (1 << 32) + 5070),
                this_boot,
                (1 << 32) + 70,
            ),
        ] {
            let times = |(wall, boot): (u64, u64)| Times { wall: wall * 1_000_000, boot };
            let (wall, boot): (u64, u64) = sent;
            // A frame has 32 bits of it.
            let age = age(times((wall, boot & 0xffff_ffff)), times(now), is_of_this_boot);
            assert_eq!(age, Duration::from_millis(expected), "{what}");
        }
    }
}
