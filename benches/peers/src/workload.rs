//! The workloads with their message sizes, and how long they take.

use std::time::Duration;

use clap::ValueEnum;

use crate::peer::{ChannelSpec, Pattern};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Workload {
    /// Publish and receive the newest value of one key, in one thread
    Roundtrip,
    /// Like roundtrip, over 512 keys in scattered order
    #[value(name = "roundtrip-512")]
    RoundtripManyKeys,
    /// One way between two spinning processes, each on its own core
    Pingpong,
    /// From sending to receiving, when the receiving process sleeps
    Wake,
    /// One process writes and one reads the same key, as fast as they can
    Mrsw,
    /// Like mrsw, over 1,000 keys
    #[value(name = "mrsw-1000")]
    MrswManyKeys,
    /// Two processes send to one, which must receive every message
    Mpsc,
    /// From Rust value to Rust value, in one thread: 64 bytes of numbers, or 500 bytes of strings
    Typed,
    /// Lookup of 64 bytes by the name of their key, in scattered order; the sizes are numbers of keys
    Get,
    /// Lookup of a key that does not exist; the sizes are numbers of slots
    Miss,
    /// Creation of everything that a sender needs, for 1,000 keys
    Create,
    /// Opening of everything that a receiver needs, for 1,000 keys
    Open,
    /// Memory and file descriptors of 1,000 keys with a value each
    Footprint,
}

impl Workload {
    pub(crate) const ALL: &[Self] = &[
        Self::Roundtrip,
        Self::RoundtripManyKeys,
        Self::Pingpong,
        Self::Wake,
        Self::Mrsw,
        Self::MrswManyKeys,
        Self::Mpsc,
        Self::Typed,
        Self::Get,
        Self::Miss,
        Self::Create,
        Self::Open,
        Self::Footprint,
    ];

    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no workload is skipped").get_name().to_owned()
    }

    /// The sizes of messages in bytes; for `Get` and `Miss`, the numbers of keys.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Roundtrip | Self::Pingpong => &[64, 1024, 4096, 65_536, 1_048_576],
            Self::RoundtripManyKeys => &[64, 1024, 4096],
            Self::Wake => &[64, 4096],
            Self::Mrsw => &[64, 1024, 4096, 65_536],
            Self::MrswManyKeys | Self::Mpsc => &[64, 1024, 4096],
            Self::Typed => &[64, 512],
            Self::Get => &[1024, 20_000, 100_000],
            Self::Miss => &[1024, 65_536],
            Self::Create | Self::Open | Self::Footprint => &[64],
        }
    }

    /// What the channels of this workload have to provide.
    pub(crate) fn spec(self, size: usize) -> ChannelSpec {
        let (pattern, keys) = match self {
            Self::Roundtrip | Self::Mrsw | Self::Typed => (Pattern::Newest, 1),
            Self::RoundtripManyKeys => (Pattern::Newest, 512),
            Self::MrswManyKeys | Self::Create | Self::Open | Self::Footprint => (Pattern::Newest, 1000),
            Self::Pingpong => (Pattern::Spinning, 1),
            Self::Wake => (Pattern::Sleeping, 1),
            Self::Mpsc => (Pattern::Lossless, 1),
            Self::Get | Self::Miss => (Pattern::Newest, size),
        };
        ChannelSpec { pattern, size: if matches!(self, Self::Get | Self::Miss) { 64 } else { size }, keys }
    }
}

/// How long the measurements take. All durations are here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// How often each system is measured. Systems take turns, so that noise affects all of them.
    pub(crate) repetitions: usize,
    /// The duration of one measurement.
    pub(crate) duration: Duration,
    /// The messages of one measurement of `Wake`, each after a pause.
    pub(crate) wakes: usize,
}

impl Budget {
    pub(crate) const FULL: Self = Self { repetitions: 3, duration: Duration::from_millis(300), wakes: 150 };
    pub(crate) const QUICK: Self = Self { repetitions: 1, duration: Duration::from_millis(60), wakes: 30 };
    /// Longer than a receiver of any system spins before it sleeps.
    pub(crate) const PAUSE: Duration = Duration::from_millis(2);
    /// Long enough to receive the last timed message before the one that ends the partner.
    pub(crate) const DRAIN: Duration = Duration::from_millis(30);
    /// A worker that takes longer than this is killed, and its system has no figure.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
}
