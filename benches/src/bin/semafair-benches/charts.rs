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
const TITLE: (&str, u32) = ("sans-serif", 18);

/// The greatest ratio that the chart has room for.
const EDGE: f64 = 4.0;

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
    const PEERS: [RGBColor; 9] = [
        RGBColor(31, 119, 180),
        RGBColor(255, 127, 14),
        RGBColor(44, 160, 44),
        RGBColor(148, 103, 189),
        RGBColor(227, 119, 194),
        RGBColor(23, 190, 207),
        RGBColor(188, 189, 34),
        RGBColor(160, 160, 160),
        RGBColor(140, 86, 75),
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

/// Draws on white, beside the names in their colours, and writes the file when the chart is done.
fn beside_legend(
    file: &Path,
    (width, height): (u32, u32),
    names: &[&str],
    chart: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<()>,
) -> Result<()> {
    let mut svg = String::new();
    {
        let whole = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        whole.fill(&WHITE)?;
        let (left, right) = whole.split_horizontally(width - 190);
        for (y, name) in (48..).step_by(20).zip(names) {
            right.draw(&Circle::new((14, y), 5, colour(name).filled()))?;
            right.draw_text(name, &FONT.into_text_style(&right), (28, y - 7))?;
        }
        chart(&left)?;
        whole.present()?;
    }
    Ok(fs::write(file, svg)?)
}

/// The least and the greatest of some numbers, with some air.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    (low / 1.2, values.fold(low, f64::max) * 1.2)
}

/// Lines of nanoseconds over waiters or threads, both logarithmic.
fn times(section: &Measured, over: &str, file: &Path) -> Result<()> {
    let line = |name: &str| {
        let point = |row: &Row| Some((f64::from(row.size?), row.time(name)?));
        section.rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let lines = semaphores().into_iter().map(|name| (name, line(name)));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty()).collect();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    let points = lines.iter().flat_map(|(_, line)| line);
    // A tick for each size, as they grow by a factor.
    let base = points.clone().map(|(x, _)| *x).filter(|x| *x > 1.0).fold(10.0, f64::min);
    let (left, right) = range(points.clone().map(|(x, _)| *x));
    let (bottom, top) = range(points.map(|(_, y)| *y));
    beside_legend(file, (860, 480), &names, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(section.title, TITLE)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d((left..right).log_scale().base(base), (bottom..top).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(over)
            .y_desc("ns per operation")
            .x_labels(6)
            .x_label_formatter(&f64::to_string)
            .y_label_formatter(&f64::to_string)
            .label_style(FONT)
            .draw()?;
        for (name, line) in lines {
            let style = colour(name).stroke_width(if name == Semafair::NAME { 3 } else { 2 });
            chart.draw_series(LineSeries::new(line, style).point_size(3))?;
        }
        Ok(())
    })
}

/// A dot for each ratio, on a line for each row.
fn ratios(rows: &[&Row], file: &Path) -> Result<()> {
    let height = u32::try_from(rows.len())? * 22 + 120;
    let ratio = |row: &Row, name: &str| row.ratio(name).map(|[_, ratio, _]| ratio.min(EDGE));
    let names = semaphores();
    let all = rows.iter().flat_map(|row| names.iter().filter_map(|name| ratio(row, name)));
    let (left, _) = range(all);
    let line_of = |i: usize| -(i as f64);
    beside_legend(file, (1240, height), &names, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption("Time, as a ratio to tokio's", TITLE)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(430)
            .build_cartesian_2d((left..EDGE).log_scale(), line_of(rows.len())..1.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_desc(format!("dots at the right edge stand for {EDGE} or more; green is the goal"))
            .label_style(FONT)
            .draw()?;
        // The axis is for numbers, and these are words.
        for (i, row) in rows.iter().enumerate() {
            let (_, y) = chart.backend_coord(&(left, line_of(i)));
            area.draw_text(&row.workload, &FONT.into_text_style(area), (16, y - 7))?;
        }
        chart.draw_series(rows.iter().enumerate().filter_map(|(i, row)| {
            let (goal, y) = (row.goal?, line_of(i));
            Some(PathElement::new([(goal, y - 0.4), (goal, y + 0.4)], GREEN.stroke_width(3)))
        }))?;
        // Ours on top of the others.
        let others = names.iter().filter(|name| **name != Semafair::NAME);
        for &name in others.chain([&Semafair::NAME]) {
            chart.draw_series(rows.iter().enumerate().filter_map(|(i, row)| {
                Some(Circle::new((ratio(row, name)?, line_of(i)), 4, colour(name).filled()))
            }))?;
        }
        Ok(())
    })
}
