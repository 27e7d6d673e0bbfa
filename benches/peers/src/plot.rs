//! Charts: one for each workload with several sizes, both axes logarithmic.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::{Cell, Results};
use crate::system::System;
use crate::workload::Workload;

const COLOURS: [RGBColor; 8] = [
    RGBColor(214, 39, 40),
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(127, 127, 127),
    RGBColor(140, 86, 75),
    RGBColor(0, 0, 0),
];

/// The metrics of a workload that are drawn, each with the label of its axis.
fn metrics(workload: Workload) -> &'static [(&'static str, &'static str)] {
    match workload {
        Workload::Mrsw | Workload::MrswManyKeys => &[("reads", "reads per second"), ("writes", "writes per second")],
        Workload::Mpsc => &[("reads", "messages per second")],
        Workload::Footprint => &[],
        _ => &[("p50", "median in nanoseconds")],
    }
}

pub(crate) fn draw(results: &Results, directory: &Path) -> Result<()> {
    let mut workloads: Vec<_> = results.rows().into_iter().map(|(workload, _)| workload).collect();
    workloads.dedup();
    for workload in workloads {
        for &(metric, label) in metrics(workload) {
            let lines: Vec<_> = results
                .systems(workload)
                .into_iter()
                .map(|system| (system, points(results, workload, system, metric)))
                .filter(|(_, points)| points.len() > 1 || (draws_single_points(workload) && !points.is_empty()))
                .collect();
            if lines.iter().any(|(_, points)| points.len() > 1) {
                let file = directory.join(format!("{}-{metric}.svg", workload.name()));
                chart(&file, &workload.name(), label, &lines)
                    .map_err(|error| anyhow!("{}: {error}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether single points are drawn: `Bare` has only one size.
fn draws_single_points(workload: Workload) -> bool {
    workload == Workload::Pingpong
}

fn points(results: &Results, workload: Workload, system: System, metric: &str) -> Vec<(f64, f64)> {
    let value = |size| results.figure(Cell { workload, size, system }, metric).map(|value| (size as f64, value));
    workload.sizes().iter().copied().filter_map(value).collect()
}

fn chart(
    file: &Path,
    title: &str,
    label: &str,
    lines: &[(System, Vec<(f64, f64)>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = all().map(pick).fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        (low / 1.3, high * 1.3)
    };
    let ((x0, x1), (y0, y1)) = (range(|point| point.0), range(|point| point.1));
    let area = SVGBackend::new(file, (760, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(78)
        .build_cartesian_2d((x0..x1).log_scale(), (y0..y1).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(if title == "miss" { "slots" } else { "bytes" })
        .y_desc(label)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (system, points) in lines {
        let colour = COLOURS[*system as usize];
        let width = if *system == System::SplinterBus { 3 } else { 1 };
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)).point_size(3))?
            .label(system.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    area.present()?;
    Ok(())
}
