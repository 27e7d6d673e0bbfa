//! The clocks by which messages and stores are dated.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use super::per_process::PerProcess;

/// Nanoseconds since the Unix epoch; 0 if the clock is set to an earlier time.
#[inline]
pub(crate) fn unix_nanos() -> u64 {
    // Directly from the vDSO: std's clock splits the time into parts that would be multiplied again
    // here.
    let now = clock_gettime(ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Milliseconds since the machine started, also while it was suspended: CLOCK_BOOTTIME. The same in all processes of the machine: the offset of a time namespace is subtracted.
pub(crate) fn boot_millis() -> u64 {
    static OFFSET: PerProcess<i64> = PerProcess::new();
    let now = clock_gettime(ClockId::Boottime);
    let nanos = now.tv_sec.wrapping_mul(NANOS_PER_SECOND).wrapping_add(now.tv_nsec);
    // A child of `fork` may be in another time namespace than its parent.
    let offset = OFFSET.get(boot_offset);
    nanos.wrapping_sub(*offset).div_euclid(NANOS_PER_MILLI) as u64
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// How many nanoseconds CLOCK_BOOTTIME is ahead here of the machine's first time namespace. 0 where
/// the kernel has no time namespaces.
fn boot_offset() -> i64 {
    // The file describes the namespace of children. It is that of this process, too, unless the
    // process has called `unshare`: then it stays where it was, which is usually the first one.
    let namespace = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).ok();
    if namespace("time") != namespace("time_for_children") {
        return 0;
    }
    fs::read_to_string("/proc/self/timens_offsets").map_or(0, |text| parse_boot_offset(&text))
}

/// The offset of the boot clock in a file `timens_offsets`; 0 if it is not there.
fn parse_boot_offset(text: &str) -> i64 {
    let offsets = text.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        // Kernel 5.6 writes the number of the clock.
        fields.next().filter(|&clock| clock == "boottime" || clock == "7")?;
        let seconds: i64 = fields.next()?.parse().ok()?;
        let nanos: i64 = fields.next()?.parse().ok()?;
        seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
    });
    offsets.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_the_boot_clock_is_read_from_the_file_of_the_time_namespace() {
        let file = "monotonic          -5         7\nboottime      1000000       500\n";
        assert_eq!(parse_boot_offset(file), 1_000_000_000_000_500);
        assert_eq!(parse_boot_offset("monotonic  0  0\nboottime  -3  999999999\n"), -2_000_000_001);
        assert_eq!(parse_boot_offset("1  0  0\n7  2  1\n"), 2_000_000_001);
        for without in ["", "monotonic 1 2\n", "boottime\n", "boottime x 1\n", "boottime 9999999999999999 0\n"] {
            assert_eq!(parse_boot_offset(without), 0, "{without:?}");
        }
    }

    #[test]
    fn the_boot_clock_counts_milliseconds_and_does_not_go_back() {
        let first = boot_millis();
        let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        // `/proc/uptime` has the offset of the namespace.
        let expected = ((uptime * 1000.0) as i64 - boot_offset() / NANOS_PER_MILLI) as u64;
        let apart = expected.wrapping_sub(first) as i64;
        assert!((-1000..10_000).contains(&apart), "{first} ms by the clock, {expected} ms by the kernel's file");
        assert!(boot_millis() >= first);
    }
}
