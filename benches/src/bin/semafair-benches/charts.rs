//! The results as pictures.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use semafair_benches::Semaphore;
use semafair_benches::{Semafair, Tokio};

use crate::catalogue::Shows;
use crate::measure::Row;
use crate::report::{Measured, semaphores};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FONT: (&str, u32) = ("sans-serif", 13);

/// Draws a chart of all ratios, and one for each section of times; returns their files' names.
pub(crate) fn draw(sections: &[Measured], folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let rows = || sections.iter().filter(|section| matches!(section.shows, Shows::Ratios));
    let rows: Vec<_> = rows().flat_map(|section| &section.rows).collect();
    if !rows.is_empty() {
        files.push("ratios.svg".to_owned());
        ratios(&rows, &folder.join("ratios.svg"))?;
    }
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        if let Shows::Times { over } = section.shows {
            let file = format!("{}.svg", section.title.replace(": ", "-").to_lowercase());
            times(section, over, &folder.join(&file))?;
            files.push(file);
        }
    }
    Ok(files)
}

/// The colour of a semaphore, the same in all charts; ours is the only dark one.
fn colour(name: &str) -> RGBColor {
    const PEERS: [RGBColor; 8] = [
        RGBColor(31, 119, 180),
        RGBColor(255, 127, 14),
        RGBColor(44, 160, 44),
        RGBColor(148, 103, 189),
        RGBColor(227, 119, 194),
        RGBColor(23, 190, 207),
        RGBColor(188, 189, 34),
        RGBColor(160, 160, 160),
    ];
    match name {
        Semafair::NAME => BLACK,
        Tokio::NAME => RED,
        _ => {
            let index = semaphores().iter().position(|other| *other == name).unwrap_or_default();
            PEERS[index % PEERS.len()]
        }
    }
}

/// An area, white, which is written to the file when the chart is done.
fn on_white(
    file: &Path,
    size: (u32, u32),
    chart: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<()>,
) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        chart(&area)?;
        area.present()?;
    }
    Ok(fs::write(file, svg)?)
}

/// The least and the greatest of some numbers, with some air.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    (low / 1.3, values.fold(low, f64::max) * 1.3)
}

/// Lines of nanoseconds over waiters or threads, both logarithmic.
fn times(section: &Measured, over: &str, file: &Path) -> Result<()> {
    let line = |name: &str| {
        let point = |row: &Row| Some((f64::from(row.size?), row.time(name)?));
        section.rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let lines: Vec<_> = semaphores().into_iter().map(|name| (name, line(name))).collect();
    let points = lines.iter().flat_map(|(_, line)| line);
    let (left, right) = range(points.clone().map(|(x, _)| *x));
    let (bottom, top) = range(points.map(|(_, y)| *y));
    on_white(file, (820, 480), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(section.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .right_y_label_area_size(190)
            .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(over)
            .y_desc("ns per operation")
            .label_style(FONT)
            .draw()?;
        for (name, line) in lines.into_iter().filter(|(_, line)| !line.is_empty()) {
            let width = if name == Semafair::NAME { 3 } else { 2 };
            let style = colour(name).stroke_width(width);
            chart
                .draw_series(LineSeries::new(line, style).point_size(3))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        legend(&mut chart)
    })
}

/// A dot for each ratio, on a line for each row.
fn ratios(rows: &[&Row], file: &Path) -> Result<()> {
    let height = u32::try_from(rows.len())? * 22 + 120;
    let ratio = |row: &Row, name: &str| row.ratio(name).map(|[_, ratio, _]| ratio);
    let names = semaphores();
    let all = rows.iter().flat_map(|row| names.iter().filter_map(|name| ratio(row, name)));
    let (left, right) = range(all);
    let line_of = |i: usize| -(i as f64);
    on_white(file, (1240, height), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption("Time, as a ratio to tokio's; a green bar is the goal", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(470)
            .right_y_label_area_size(190)
            .build_cartesian_2d((left..right).log_scale(), line_of(rows.len())..1.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(WHITE)
            .y_labels(0)
            .x_desc("ratio")
            .label_style(FONT)
            .draw()?;
        // The axis of numbers has no place for words.
        for (i, row) in rows.iter().enumerate() {
            let (_, y) = chart.backend_coord(&(left, line_of(i)));
            let style = FONT.into_font().color(&BLACK);
            area.draw_text(&row.workload, &style, (16, y - 7))?;
        }
        chart.draw_series(rows.iter().enumerate().filter_map(|(i, row)| {
            let (goal, y) = (row.goal?, line_of(i));
            Some(PathElement::new([(goal, y - 0.4), (goal, y + 0.4)], GREEN.stroke_width(3)))
        }))?;
        // Ours last, on top of the others.
        for &name in names.iter().rev() {
            let dots = rows.iter().enumerate().filter_map(|(i, row)| {
                Some(Circle::new((ratio(row, name)?, line_of(i)), 4, colour(name).filled()))
            });
            chart
                .draw_series(dots)?
                .label(name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour(name).filled()));
        }
        legend(&mut chart)
    })
}

/// Right of the plot.
fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
) -> Result<()> {
    Ok(chart
        .configure_series_labels()
        .label_font(FONT)
        .position(SeriesLabelPosition::UpperRight)
        .draw()?)
}
