//! What is measured, with which sizes, and for how long.

use std::time::Duration;

use clap::ValueEnum;

use crate::peer::{Job, Kind};
use crate::system::System;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Workload {
    /// Publish, and receive the newest, in one thread: always the same key.
    Roundtrip,
    /// The same over 512 keys, in an order that scatters them.
    #[value(name = "roundtrip-512")]
    RoundtripManyKeys,
    /// Between two processes, each on a core of its own, spinning: one way.
    Pingpong,
    /// To a process that sleeps: from before it is sent to when it was received.
    Wake,
    /// One process writes and one reads, as fast as they can, the same key.
    Mrsw,
    /// The same over 1,000 keys.
    #[value(name = "mrsw-1000")]
    MrswManyKeys,
    /// Two processes send to one that must receive all.
    Mpsc,
    /// From Rust value to Rust value, in one thread: 64 bytes of numbers, or 500 bytes of strings.
    Typed,
    /// Looking for a key that is not there; its sizes are slots.
    Miss,
    /// Making what everybody else opens, for 1,000 keys.
    Create,
    /// Opening what somebody else made, for 1,000 keys.
    Open,
    /// What 1,000 keys with values take.
    Footprint,
}

impl Workload {
    pub(crate) const ALL: &[Self] = Self::VALUES;
    const VALUES: &'static [Self] = &[
        Self::Roundtrip,
        Self::RoundtripManyKeys,
        Self::Pingpong,
        Self::Wake,
        Self::Mrsw,
        Self::MrswManyKeys,
        Self::Mpsc,
        Self::Typed,
        Self::Miss,
        Self::Create,
        Self::Open,
        Self::Footprint,
    ];

    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("none is skipped").get_name().to_owned()
    }

    /// Of messages in bytes; of `miss`, in slots.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Roundtrip | Self::Pingpong => &[64, 1024, 4096, 65_536, 1_048_576],
            Self::RoundtripManyKeys => &[64, 1024, 4096],
            Self::Wake => &[64, 4096],
            Self::Mrsw => &[64, 1024, 4096, 65_536],
            Self::MrswManyKeys | Self::Mpsc => &[64, 1024, 4096],
            Self::Typed => &[64, 512],
            Self::Miss => &[1024, 65_536],
            Self::Create | Self::Open | Self::Footprint => &[64],
        }
    }

    pub(crate) fn job(self, size: usize) -> Job {
        let (kind, keys) = match self {
            Self::Roundtrip | Self::Mrsw | Self::Typed => (Kind::Newest, 1),
            Self::RoundtripManyKeys => (Kind::Newest, 512),
            Self::MrswManyKeys | Self::Create | Self::Open | Self::Footprint => (Kind::Newest, 1000),
            Self::Pingpong => (Kind::Spinning, 1),
            Self::Wake => (Kind::Asleep, 1),
            Self::Mpsc => (Kind::All, 1),
            Self::Miss => (Kind::Newest, size),
        };
        Job { kind, size: if self == Self::Miss { 64 } else { size }, keys }
    }

    /// Who takes part; of those, who has no figure says why.
    pub(crate) fn systems(self) -> impl Iterator<Item = System> {
        System::value_variants().iter().copied().filter(move |&system| self == Self::Pingpong || system != System::Bare)
    }
}

/// How long everything takes: all figures of time are here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Each system is measured as often as this, in turn with the others, so that a noisy moment is nobody's own.
    pub(crate) laps: usize,
    /// A measurement of one system in one lap.
    pub(crate) lap: Duration,
    /// Messages to a sleeper in one lap, each after a pause.
    pub(crate) wakes: usize,
}

impl Budget {
    pub(crate) const FULL: Self = Self { laps: 3, lap: Duration::from_millis(300), wakes: 150 };
    pub(crate) const QUICK: Self = Self { laps: 1, lap: Duration::from_millis(60), wakes: 30 };
    /// Longer than a receiver spins before it sleeps, in any system that does.
    pub(crate) const PAUSE: Duration = Duration::from_millis(2);
    /// A system that does not get through a lap in this time has no figure.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
}
