//! The chart: throughput above, transfers below, a column for each workload.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use semafair_benches::{FetchAdd, FuturesIntrusive, Semafair, Semaphore, Tokio};

use crate::Result;
use crate::report::{Point, Report};
use crate::style::{Area, GREY, LETTERS, PALE, colour, framed, number, text, ticks};
use crate::subject::Workload;

/// In the order of the legend. Ours is drawn last, on top of the others.
const ORDER: [&str; 4] = [FetchAdd::NAME, FuturesIntrusive::NAME, Tokio::NAME, Semafair::NAME];

type Of = fn(&Point) -> f64;

/// Draws the chart.
pub(crate) fn draw(report: &Report, file: &Path) -> Result<()> {
    let about = [
        format!(
            "Simulated, over the accesses to memory that were traced from the code. A transfer costs {} ns, \
             a locked instruction {} ns.",
            report.costs.transfer, report.costs.locked,
        ),
        "Above: operations of all cores in a microsecond, higher is better. Below: cache lines that go \
         from core to core for each operation, lower is better."
            .to_owned(),
    ];
    let workloads: Vec<_> =
        Workload::ALL.into_iter().filter(|&it| !report.of(it).is_empty()).collect();
    framed(file, (1200, 720), "Many cores", &about, |area| {
        legend(area)?;
        let (_, panels) = area.split_vertically(32);
        let panels = panels.split_evenly((2, workloads.len()));
        let (above, below) = panels.split_at(workloads.len());
        for (i, &workload) in workloads.iter().enumerate() {
            panel(&above[i], report, workload, "operations in a µs", |point| point.throughput)?;
            panel(&below[i], report, workload, "transfers", |point| point.transfers)?;
        }
        Ok(())
    })
}

fn panel(area: &Area<'_>, report: &Report, workload: Workload, what: &str, of: Of) -> Result<()> {
    let traced = report.of(workload);
    let points = || traced.iter().flat_map(|(_, points)| points);
    let sizes: Vec<f64> = traced[0].1.iter().map(|point| point.cores as f64).collect();
    let (left, right) = (sizes[0], sizes[sizes.len() - 1]);
    // Nothing lies at zero, which logarithms have no place for.
    let values = || points().map(|point| of(point).max(0.05));
    let (bottom, top) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let (bottom, top) = (bottom / 1.5, top * 1.5);
    let mut chart = ChartBuilder::on(area)
        .caption(workload.title(), LETTERS)
        .margin_right(12)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(
            (left / 1.1..right * 1.1).log_scale().with_key_points(sizes.clone()),
            (bottom..top).log_scale().with_key_points(ticks(bottom, top)),
        )?;
    chart
        .configure_mesh()
        .bold_line_style(PALE)
        .light_line_style(WHITE)
        .axis_style(GREY)
        .x_desc("cores")
        .y_desc(what)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .label_style(LETTERS)
        .draw()?;
    for name in ORDER {
        let Some((_, points)) = traced.iter().find(|(it, _)| it.semaphore == name) else {
            continue;
        };
        let ours = name == Semafair::NAME;
        let style = colour(name).stroke_width(if ours { 4 } else { 2 }).filled();
        let points = points.iter().map(|point| (point.cores as f64, of(point).max(0.05)));
        chart.draw_series(LineSeries::new(points, style).point_size(if ours { 4 } else { 3 }))?;
    }
    Ok(())
}

fn legend(area: &Area<'_>) -> Result<()> {
    let mut x = 24;
    for name in ORDER.into_iter().rev() {
        let line = PathElement::new([(x, 18), (x + 24, 18)], colour(name).stroke_width(4));
        area.draw(&line)?;
        area.draw_text(name, &text(BLACK, HPos::Left), (x + 32, 18))?;
        x += 70 + 8 * i32::try_from(name.len())?;
    }
    Ok(())
}
