//! Selects the measurement of a workload, and runs it on the system of a set-up.

use anyhow::{Result, bail};

use crate::figure::Figure;
use crate::measurements::{footprint, lookup, mpsc, mrsw, open, ping_pong, round_trip, typed, wake};
use crate::peer::Peer;
use crate::system::{Setup, Visitor};
use crate::task::Task;
use crate::workload::Workload;

/// Runs a measurement.
pub(crate) fn measure(task: &Task) -> Result<Vec<Figure>> {
    match (task.workload, task.setup) {
        (Workload::Typed, Setup::SplinterBus) => typed::measure_typed(task),
        (Workload::Get | Workload::Miss, _) => lookup::measure(task),
        _ => task.setup.accept(task.spec().size, Measure(task)),
    }
}

/// Runs the other process of a measurement.
pub(crate) fn run_partner(task: &Task) -> Result<()> {
    task.setup.accept(task.spec().size, RunPartner(task))
}

struct Measure<'a>(&'a Task);

impl Visitor for Measure<'_> {
    type Output = Vec<Figure>;

    fn visit<P: Peer>(self) -> Result<Vec<Figure>> {
        let task = self.0;
        match task.workload {
            Workload::Roundtrip | Workload::RoundtripManyKeys => round_trip::measure::<P>(task),
            Workload::Pingpong => ping_pong::measure::<P>(task),
            Workload::Wake => wake::measure::<P>(task),
            Workload::Mrsw | Workload::MrswManyKeys => mrsw::measure::<P>(task),
            Workload::Mpsc => mpsc::measure::<P>(task),
            Workload::Typed => typed::measure_bytes::<P>(task),
            Workload::Get | Workload::Miss => lookup::measure(task),
            Workload::Create => open::measure_create::<P>(task),
            Workload::Open => open::measure_open::<P>(task),
            Workload::Footprint => footprint::measure::<P>(task),
        }
    }
}

struct RunPartner<'a>(&'a Task);

impl Visitor for RunPartner<'_> {
    type Output = ();

    fn visit<P: Peer>(self) -> Result<()> {
        let task = self.0;
        match task.workload {
            Workload::Pingpong => ping_pong::partner::<P>(task),
            Workload::Wake => wake::partner::<P>(task),
            Workload::Mrsw | Workload::MrswManyKeys => mrsw::partner::<P>(task),
            Workload::Mpsc => mpsc::partner::<P>(task),
            Workload::Open => open::partner::<P>(task),
            _ => bail!("workload {} has no partner process", task.workload.name()),
        }
    }
}
