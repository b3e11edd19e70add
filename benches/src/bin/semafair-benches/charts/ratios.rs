//! Time as a ratio to tokio's: a row for each workload.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use semafair_benches::{
    AsyncWeighted, Asyncband, FuturesIntrusive, Maitake, Semafair, Semaphore, Tokio,
};

use super::Result;
use super::style::{GREY, LETTERS, PALE, colour, framed, mark, number, text};
use crate::catalogue::Shows;
use crate::measure::Row;
use crate::report::Measured;
use crate::statistics::geometric_mean;

/// Those that hand permits over in order, and do not spin before they wait; ours comes last, on top
/// of the others. Tokio is the line at 1.
const SHOWN: [&str; 5] =
    [AsyncWeighted::NAME, Asyncband::NAME, Maitake::NAME, FuturesIntrusive::NAME, Semafair::NAME];

/// Where ticks are; the axis goes from the first to the last.
const TICKS: [f64; 8] = [0.125, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 4.0];

/// A workload, whatever its size.
struct Family<'a> {
    name: &'a str,
    rows: Vec<&'a Row>,
}

/// A line of the chart.
enum Line<'a> {
    Title(&'a str),
    Workload(Family<'a>),
}

impl Family<'_> {
    /// The name, with the sizes that it is a mean of.
    fn label(&self) -> String {
        match self.rows[..] {
            [row] => row.workload().to_owned(),
            _ => {
                let sizes = || self.rows.iter().filter_map(|row| row.size().map(f64::from));
                let (least, greatest) =
                    (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
                format!("{} ({} to {})", self.name, number(least), number(greatest))
            }
        }
    }

    /// The ratios of a semaphore, for each size that it takes part in.
    fn ratios(&self, name: &str) -> Vec<f64> {
        self.rows.iter().filter_map(|row| row.ratio(name)).collect()
    }
}

/// The lines of all sections of ratios: their titles, and their workloads.
fn lines(sections: &[Measured]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for section in sections {
        if !matches!(section.shows, Shows::Ratios) || section.rows.is_empty() {
            continue;
        }
        lines.push(Line::Title(section.title));
        for rows in section.rows.chunk_by(|a, b| a.family() == b.family()) {
            let rows: Vec<_> = rows.iter().collect();
            lines.push(Line::Workload(Family { name: rows[0].family(), rows }));
        }
    }
    lines
}

/// Draws the chart, unless there is nothing to draw; says whether it has.
pub(super) fn draw(sections: &[Measured], file: &Path) -> Result<bool> {
    let lines = lines(sections);
    if lines.is_empty() {
        return Ok(false);
    }
    let about = [
        "Lower is better. A mark is the geometric mean over all sizes of a workload; the bar behind \
         semafair's goes from its best size to its worst."
            .to_owned(),
        "Processor time where one thread works, the wall clock where several do. A mark at an edge may lie beyond it. These semaphores hand permits over in order; the tables \
         have async-lock and saa too."
            .to_owned(),
    ];
    let height = u32::try_from(lines.len())? * 26;
    framed(file, (1000, height + 190), "Time as a ratio to tokio's", &about, |area| {
        legend(area)?;
        let (_, plot) = area.split_vertically(32);
        let (left, right) = (TICKS[0], TICKS[TICKS.len() - 1]);
        let y_of = |i: usize| -(i as f64);
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(400)
            .build_cartesian_2d(
                (left..right).log_scale().with_key_points(TICKS.to_vec()),
                y_of(lines.len()) + 0.3..0.7,
            )?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .bold_line_style(PALE)
            .axis_style(GREY)
            .x_label_formatter(&|x| number(*x))
            .x_desc("time as a ratio to tokio's")
            .label_style(LETTERS)
            .draw()?;
        let line = |y| PathElement::new([(left, y), (right, y)], PALE.stroke_width(1));
        let baseline = [(1.0, y_of(lines.len()) + 0.3), (1.0, 0.7)];
        chart.draw_series([PathElement::new(baseline, colour(Tokio::NAME).stroke_width(3))])?;
        let (base_x, base_y) = area.get_base_pixel();
        for (i, it) in lines.iter().enumerate() {
            let y = y_of(i);
            let (x, pixel) = chart.backend_coord(&(left, y));
            let (x, pixel) = (x - base_x - 12, pixel - base_y);
            let family = match it {
                Line::Title(title) => {
                    let bold = text(BLACK, HPos::Left).font;
                    let style =
                        TextStyle { font: bold.style(FontStyle::Bold), ..text(BLACK, HPos::Left) };
                    area.draw_text(title, &style, (16, pixel))?;
                    continue;
                }
                Line::Workload(family) => family,
            };
            area.draw_text(&family.label(), &text(BLACK, HPos::Right), (x, pixel))?;
            chart.draw_series([line(y)])?;
            let ours = family.ratios(Semafair::NAME);
            let best = ours.iter().copied().fold(f64::INFINITY, f64::min).max(left);
            let worst = ours.iter().copied().fold(0.0, f64::max).min(right);
            if best < worst {
                let bar = PathElement::new(
                    [(best, y), (worst, y)],
                    colour(Semafair::NAME).stroke_width(5),
                );
                chart.draw_series([bar])?;
            }
            for name in SHOWN {
                let Some(mean) = geometric_mean(&family.ratios(name)) else { continue };
                let point = (mean.clamp(left, right), y);
                let style = colour(name).filled();
                chart.draw_series([EmptyElement::at(point) + Polygon::new(mark(name), style)])?;
            }
        }
        Ok(())
    })?;
    Ok(true)
}

/// The marks and what they stand for, in one line.
fn legend(area: &super::style::Area<'_>) -> Result<()> {
    let mut x = 24;
    let tokio = PathElement::new([(x, 8), (x, 28)], colour(Tokio::NAME).stroke_width(3));
    area.draw(&tokio)?;
    for name in [Tokio::NAME].into_iter().chain(SHOWN.into_iter().rev()) {
        if name != Tokio::NAME {
            let corners =
                mark(name).into_iter().map(|(dx, dy)| (x + dx, 18 + dy)).collect::<Vec<_>>();
            area.draw(&Polygon::new(corners, colour(name).filled()))?;
        }
        area.draw_text(name, &text(BLACK, HPos::Left), (x + 13, 18))?;
        x += 50 + 8 * i32::try_from(name.len())?;
    }
    Ok(())
}
