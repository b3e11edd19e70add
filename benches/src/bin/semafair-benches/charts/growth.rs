//! Nanoseconds over the number of waiters or threads.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use semafair_benches::{Semafair, Semaphore};

use super::Result;
use super::style::{GREY, LETTERS, PALE, apart, colour, framed, number, text, ticks};
use crate::measure::Row;
use crate::report::{Measured, semaphores};

/// A line that rises to so many times the highest point of the others would press them together.
const STRETCH: f64 = 5.0;

/// Room for the names at the ends of the lines.
const NAMES: u32 = 190;

struct Line {
    name: &'static str,
    /// Size and nanoseconds.
    points: Vec<(f64, f64)>,
}

impl Line {
    fn top(&self) -> f64 {
        self.points.iter().map(|(_, y)| *y).fold(0.0, f64::max)
    }
}

/// Draws a line for each semaphore on logarithmic axes, with its name at the end.
pub(super) fn draw(section: &Measured, over: &str, file: &Path) -> Result<()> {
    let (mut lines, beyond) = split(lines(section));
    // Ours is drawn last, on top of the others.
    lines.sort_by_key(|line| line.name == Semafair::NAME);
    let mut about =
        vec![format!("Nanoseconds per operation over the number of {over}; lower is better")];
    about.extend(beyond.iter().map(|line| {
        format!("Beyond the scale: {}, up to {} ns", line.name, number(line.top().round()))
    }));
    let points = || lines.iter().flat_map(|line| &line.points);
    let sizes: Vec<_> = section.rows.iter().filter_map(|row| row.size().map(f64::from)).collect();
    let (left, right) = range(sizes.iter().copied());
    let (bottom, top) = range(points().map(|(_, y)| *y));
    framed(file, (860, 520), section.title, &about, |area| {
        let (width, _) = area.dim_in_pixel();
        let (plot, _) = area.split_horizontally(width - NAMES);
        let mut chart = ChartBuilder::on(&plot)
            .margin_top(8)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(
                (left / 1.1..right * 1.05).log_scale().with_key_points(sizes.clone()),
                (bottom / 1.15..top * 1.15)
                    .log_scale()
                    .with_key_points(ticks(bottom / 1.15, top * 1.15)),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(PALE)
            .light_line_style(WHITE)
            .axis_style(GREY)
            .x_desc(over)
            .x_label_formatter(&|x| number(*x))
            .y_label_formatter(&|y| number(*y))
            .label_style(LETTERS)
            .draw()?;
        for line in &lines {
            let ours = line.name == Semafair::NAME;
            let style = colour(line.name).stroke_width(if ours { 4 } else { 2 }).filled();
            let points = line.points.iter().copied();
            chart.draw_series(LineSeries::new(points, style).point_size(if ours {
                5
            } else {
                3
            }))?;
        }
        // Names, beside where their lines end.
        let ends: Vec<_> = lines
            .iter()
            .filter_map(|line| Some((line.name, chart.backend_coord(line.points.last()?))))
            .collect();
        let (_, offset) = area.get_base_pixel();
        let wanted: Vec<_> = ends.iter().map(|(_, (_, y))| y - offset).collect();
        let (_, height) = area.dim_in_pixel();
        let placed = apart(&wanted, 17, (10, i32::try_from(height)? - 54));
        let edge = i32::try_from(width - NAMES)?;
        for ((name, (x, y)), to) in ends.into_iter().zip(placed) {
            let leader = vec![(x + 6, y - offset), (edge + 2, y - offset), (edge + 18, to)];
            area.draw(&PathElement::new(leader, colour(name).stroke_width(1)))?;
            area.draw_text(name, &text(colour(name), HPos::Left), (edge + 22, to))?;
        }
        Ok(())
    })
}

fn lines(section: &Measured) -> Vec<Line> {
    let point = |row: &Row, name| Some((f64::from(row.size()?), row.time(name)?));
    let line = |name| Line {
        name,
        points: section.rows.iter().filter_map(|row| point(row, name)).collect(),
    };
    semaphores().into_iter().map(line).filter(|line| !line.points.is_empty()).collect()
}

/// The lines to draw, and those that would stretch the scale: the highest, as long as it is far above
/// the next.
fn split(mut lines: Vec<Line>) -> (Vec<Line>, Vec<Line>) {
    let mut beyond = Vec::new();
    while let Some(highest) =
        (0..lines.len()).max_by(|&a, &b| lines[a].top().total_cmp(&lines[b].top()))
    {
        let others = lines.iter().enumerate().filter(|(i, _)| *i != highest);
        let next = others.map(|(_, line)| line.top()).fold(0.0, f64::max);
        if next == 0.0
            || lines[highest].top() <= STRETCH * next
            || lines[highest].name == Semafair::NAME
        {
            break;
        }
        beyond.push(lines.remove(highest));
    }
    (lines, beyond)
}

/// The least and the greatest.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    (low, values.fold(low, f64::max))
}

#[cfg(test)]
mod tests {
    use semafair_benches::{AsyncLock, Saa, Tokio};

    use super::*;

    fn line(name: &'static str, top: f64) -> Line {
        Line { name, points: vec![(10.0, 1.0), (100.0, top)] }
    }

    fn drawn_and_beyond(lines: Vec<Line>) -> [Vec<&'static str>; 2] {
        let (drawn, beyond) = split(lines);
        [drawn, beyond].map(|lines| lines.iter().map(|line| line.name).collect())
    }

    #[test]
    fn a_line_far_above_all_others_is_left_out() {
        let lines =
            vec![line(Tokio::NAME, 30.0), line(Saa::NAME, 9000.0), line(AsyncLock::NAME, 140.0)];
        let [drawn, beyond] = drawn_and_beyond(lines);
        assert_eq!(drawn, [Tokio::NAME, AsyncLock::NAME]);
        assert_eq!(beyond, [Saa::NAME]);
    }

    #[test]
    fn ours_is_drawn_however_high_it_is() {
        let lines = vec![line(Tokio::NAME, 30.0), line(Semafair::NAME, 9000.0)];
        assert_eq!(drawn_and_beyond(lines)[1], [""; 0]);
    }
}
