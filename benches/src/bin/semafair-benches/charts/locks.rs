//! What a lock costs: how often threads go to sleep, and how long their turns take.

use std::path::Path;

use plotters::coord::combinators::{LogCoord, WithKeyPoints};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use semafair_benches::{Semafair, Semaphore};

use super::Result;
use super::style::{Area, GREY, LETTERS, PALE, colour, framed, mark, number, text};
use crate::locks::{Contention, Cost};
use crate::report::shown;

/// Room for the names on the left.
const NAMES: u32 = 230;

/// Room for each line.
const LINE: u32 = 26;

/// Of the axis of sleeps: fewer than this lie at its left end.
const FEWEST: f64 = 0.1;

type Panel<'a> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<WithKeyPoints<LogCoord<f64>>, RangedCoordf64>>;

/// A line of the chart.
enum Line<'a> {
    Title(String),
    Cost(&'a Cost),
}

/// Draws the chart, unless there is nothing to draw; says whether it has.
pub(super) fn draw(contentions: &[Contention], file: &Path) -> Result<bool> {
    let lines = lines(contentions);
    if lines.is_empty() {
        return Ok(false);
    }
    let costs = || contentions.iter().flat_map(|contention| &contention.costs);
    let most = costs().filter_map(|cost| cost.sleeps).map(|sleeps| sleeps.all).fold(10.0, f64::max);
    let micros = || costs().flat_map(|cost| cost.latencies.map(micros));
    let range = (micros().fold(f64::INFINITY, f64::min), micros().fold(0.0, f64::max));
    let about = [
        "Threads share one semaphore, and no turn waits for a permit. A thread that sleeps waits for \
         another thread in the semaphore itself."
            .to_owned(),
        "A thread that spins does not sleep: it wastes its processor, and that shows on the right."
            .to_owned(),
        "On the right, a line goes from p99.9 by p99.99 (the dot) to the longest turn (the mark). Lower \
         is better."
            .to_owned(),
    ];
    let height = u32::try_from(lines.len())? * LINE;
    framed(file, (1000, height + 198), "What a lock costs", &about, |area| {
        let (names, panels) = area.split_horizontally(NAMES);
        let (left, right) = panels.split_horizontally(340);
        let mut sleeps = panel(
            &left,
            (FEWEST, most * 2.5),
            lines.len(),
            "sleeps for a million turns of the normal threads",
        )?;
        let mut latencies =
            panel(&right, (range.0 / 1.3, range.1 * 1.4), lines.len(), "latency of a turn, µs")?;
        let (_, offset) = names.get_base_pixel();
        for (i, line) in lines.iter().enumerate() {
            let y = -(i as f64);
            let (_, pixel) = sleeps.backend_coord(&(FEWEST, y));
            let pixel = pixel - offset;
            match line {
                Line::Title(title) => {
                    let plain = text(BLACK, HPos::Left);
                    let bold = TextStyle { font: plain.font.style(FontStyle::Bold), ..plain };
                    area.draw_text(title, &bold, (16, pixel))?;
                }
                Line::Cost(cost) => {
                    let ours = cost.name == Semafair::NAME;
                    let style = text(if ours { BLACK } else { GREY }, HPos::Right);
                    names.draw_text(&cost.name, &style, (i32::try_from(NAMES)? - 12, pixel))?;
                    draw_sleeps(&mut sleeps, cost, y)?;
                    draw_latencies(&mut latencies, cost, y)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(true)
}

fn lines(contentions: &[Contention]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for contention in contentions {
        lines.push(Line::Title(contention.title().replace('`', "")));
        lines.extend(contention.costs.iter().map(Line::Cost));
    }
    lines
}

fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// The axes of a panel. Its lines are at 0, -1, -2 and so on.
fn panel<'a>(
    area: &Area<'a>,
    (low, high): (f64, f64),
    lines: usize,
    about: &str,
) -> Result<Panel<'a>> {
    let powers = (-1..=9).map(|power| 10_f64.powi(power));
    let ticks: Vec<_> = powers.filter(|tick| (low..=high).contains(tick)).collect();
    let mut chart =
        ChartBuilder::on(area).margin_right(24).x_label_area_size(44).build_cartesian_2d(
            (low..high).log_scale().with_key_points(ticks),
            -(lines as f64) + 0.3..0.7,
        )?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .bold_line_style(PALE)
        .light_line_style(WHITE)
        .axis_style(GREY)
        .x_label_formatter(&|x| number(*x))
        .x_desc(about)
        .label_style(LETTERS)
        .draw()?;
    Ok(chart)
}

/// A stem to the number of sleeps.
fn draw_sleeps(panel: &mut Panel<'_>, cost: &Cost, y: f64) -> Result<()> {
    let Some(sleeps) = cost.sleeps else { return Ok(()) };
    let x = sleeps.all.max(FEWEST);
    let style = colour(&cost.name);
    panel.draw_series([PathElement::new([(FEWEST, y), (x, y)], style.stroke_width(3))])?;
    let corners = Polygon::new(mark(&cost.name), style.filled());
    let label = Text::new(shown(sleeps.all), (12, 0), text(style, HPos::Left));
    panel.draw_series([EmptyElement::at((x, y)) + corners + label])?;
    Ok(())
}

/// A line along the quantiles.
fn draw_latencies(panel: &mut Panel<'_>, cost: &Cost, y: f64) -> Result<()> {
    let [low, middle, worst] = cost.latencies.map(|it| (micros(it), y));
    let style = colour(&cost.name);
    panel.draw_series([PathElement::new([low, worst], style.stroke_width(3))])?;
    panel.draw_series([Circle::new(middle, 4, style.filled())])?;
    let corners = Polygon::new(mark(&cost.name), style.filled());
    panel.draw_series([EmptyElement::at(worst) + corners])?;
    Ok(())
}
