//! The arguments of a worker process and of a partner process.

use crate::peer::ChannelSpec;
use crate::system::Setup;
use crate::workload::{Budget, Workload};

/// One measurement: a workload with one message size, on a system in one set-up.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Task {
    #[arg(long)]
    pub(crate) setup: Setup,
    #[arg(long)]
    pub(crate) workload: Workload,
    #[arg(long)]
    pub(crate) size: usize,
    /// A unique text that is part of the name of every file that the measurement creates.
    #[arg(long)]
    pub(crate) session: String,
    #[arg(long)]
    pub(crate) quick: bool,
    /// The index of this partner, if there are two.
    #[arg(long, default_value_t = 0)]
    pub(crate) partner: usize,
}

impl Task {
    pub(crate) fn spec(&self) -> ChannelSpec {
        self.workload.spec(self.size)
    }

    pub(crate) fn budget(&self) -> Budget {
        if self.quick { Budget::QUICK } else { Budget::FULL }
    }

    /// The command-line arguments that [`Task`] is parsed from.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let options = [
            ("--setup", self.setup.name()),
            ("--workload", self.workload.name()),
            ("--size", self.size.to_string()),
            ("--session", self.session.clone()),
            ("--partner", self.partner.to_string()),
        ];
        let mut arguments: Vec<_> = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        arguments.extend(self.quick.then(|| "--quick".to_owned()));
        arguments
    }
}
