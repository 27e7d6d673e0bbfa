//! The measured systems, and the set-ups in which each is measured.

use anyhow::Result;
use clap::ValueEnum;

use crate::peer::Peer;
#[cfg(feature = "libsplinter")]
use crate::peers::libsplinter::Libsplinter;
use crate::peers::{
    bare::Bare, crossbar::Crossbar, iceoryx2::Iceoryx2, redis::Redis, ringfire::BLOBS, ringfire::Ringfire,
    splinter_bus::SplinterBus, unix_socket::UnixSocket,
};
use crate::workload::Workload;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum System {
    SplinterBus,
    Libsplinter,
    Crossbar,
    Iceoryx2,
    Ringfire,
    UnixSocket,
    Redis,
    Bare,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SplinterBus => "splinter-bus",
            Self::Libsplinter => "libsplinter",
            Self::Crossbar => "crossbar",
            Self::Iceoryx2 => "iceoryx2",
            Self::Ringfire => "ringfire",
            Self::UnixSocket => "unix-socket",
            Self::Redis => "redis",
            Self::Bare => "bare",
        }
    }

    /// The systems that a workload is run with. `Bare` is the hardware's lower bound for
    /// `Pingpong`.
    pub(crate) fn measured_in(workload: Workload) -> impl Iterator<Item = Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(move |&system| workload == Workload::Pingpong || system != Self::Bare)
    }

    /// The set-ups to try for a workload. The best one is reported.
    pub(crate) fn setups(self, workload: Workload) -> &'static [Setup] {
        match self {
            Self::SplinterBus if workload == Workload::Mpsc => &[Setup::SplinterBus, Setup::SplinterBusKeyEach],
            Self::SplinterBus => &[Setup::SplinterBus],
            #[cfg(feature = "libsplinter")]
            Self::Libsplinter => &[Setup::LibsplinterMop0, Setup::LibsplinterMop1],
            #[cfg(not(feature = "libsplinter"))]
            Self::Libsplinter => &[],
            Self::Crossbar => &[Setup::CrossbarBlocks, Setup::CrossbarPinned],
            Self::Iceoryx2 => &[Setup::Iceoryx2],
            Self::Ringfire => &[Setup::Ringfire],
            Self::UnixSocket => &[Setup::UnixSocket],
            Self::Redis => &[Setup::Redis],
            Self::Bare => &[Setup::Bare],
        }
    }
}

/// A system in one set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Setup {
    SplinterBus,
    /// With one key for each sender, as other systems require it.
    SplinterBusKeyEach,
    #[cfg(feature = "libsplinter")]
    LibsplinterMop0,
    #[cfg(feature = "libsplinter")]
    LibsplinterMop1,
    CrossbarBlocks,
    CrossbarPinned,
    Iceoryx2,
    Ringfire,
    UnixSocket,
    Redis,
    Bare,
}

/// A function that is generic over the system (a closure cannot be).
pub(crate) trait Visitor {
    type Output;

    fn visit<P: Peer>(self) -> Result<Self::Output>;
}

impl Setup {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no set-up is skipped").get_name().to_owned()
    }

    /// Calls the visitor with the implementation for messages of `size` bytes.
    pub(crate) fn accept<V: Visitor>(self, size: usize, visitor: V) -> Result<V::Output> {
        match self {
            Self::SplinterBus => visitor.visit::<SplinterBus<false>>(),
            Self::SplinterBusKeyEach => visitor.visit::<SplinterBus<true>>(),
            #[cfg(feature = "libsplinter")]
            Self::LibsplinterMop0 => visitor.visit::<Libsplinter<0>>(),
            #[cfg(feature = "libsplinter")]
            Self::LibsplinterMop1 => visitor.visit::<Libsplinter<1>>(),
            Self::CrossbarBlocks => visitor.visit::<Crossbar<false>>(),
            Self::CrossbarPinned => visitor.visit::<Crossbar<true>>(),
            Self::Iceoryx2 => visitor.visit::<Iceoryx2>(),
            Self::Ringfire => match size {
                64 => visitor.visit::<Ringfire<64>>(),
                512 => visitor.visit::<Ringfire<512>>(),
                1024 => visitor.visit::<Ringfire<1024>>(),
                4096 => visitor.visit::<Ringfire<4096>>(),
                _ => visitor.visit::<Ringfire<BLOBS>>(),
            },
            Self::UnixSocket => visitor.visit::<UnixSocket>(),
            Self::Redis => visitor.visit::<Redis>(),
            Self::Bare => visitor.visit::<Bare>(),
        }
    }
}
