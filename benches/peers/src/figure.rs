//! The figures that a measurement produces.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One measured value with its name and unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Figure {
    pub(crate) fn new(metric: &str, value: f64, unit: &str) -> Self {
        Self { metric: metric.to_owned(), value, unit: unit.to_owned() }
    }
}

/// Creates a histogram of latencies in picoseconds, with three significant digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1 << 50, 3).expect("the bounds are valid")
}

/// Returns the percentiles of a histogram of picoseconds, in nanoseconds.
pub(crate) fn percentiles(latencies: &Histogram<u64>) -> Vec<Figure> {
    [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)]
        .map(|(name, quantile)| Figure::new(name, latencies.value_at_quantile(quantile) as f64 / 1000.0, "ns"))
        .into()
}
