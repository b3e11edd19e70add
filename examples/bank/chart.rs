//! The timeline in the terminal.

use std::io;
use std::time::Duration;

use super::axis;
use super::day::{Day, State, Visit};
use super::fill::{LEFT, SERVED, WAITING};

/// More rows than this are an excerpt: the chart should fit on a screen.
const ROWS: usize = 40;
/// The numbers of the customers, under their heading.
const LABELS: usize = "Customer".len();

/// The columns to draw on: those of the terminal, or 80 where there is none.
pub(crate) fn columns() -> usize {
    match terminal_size::terminal_size_of(io::stdout()) {
        Some((width, _)) => width.0.into(),
        None => 80,
    }
}

/// Draws a row per customer, an axis and a legend, with colours.
pub(crate) fn draw(day: &Day, columns: usize) -> String {
    // Next to the labels, a frame of " │". Narrower than ten cells, it would show nothing.
    let time = Scale { length: day.now, cells: columns.saturating_sub(LABELS + 2).max(10) };
    let visits = day.excerpt(ROWS);

    let mut text = format!("{:>LABELS$}\n", "Customer");
    for visit in &visits {
        text += &format!("{:>LABELS$} │{}\n", visit.customer, row(visit, &time));
    }
    text += &axis(&time);
    text += &legend(day);
    if visits.len() < day.visits.len() {
        let (shown, all) = (visits.len(), day.visits.len());
        text += &format!("Shown are {shown} of the {all} customers, evenly spread.\n");
    }
    text
}

fn row(visit: &Visit, time: &Scale) -> String {
    let [came, called, gone] =
        [visit.came, visit.waited_until(time.length), visit.gone(time.length)]
            .map(|moment| time.cell(moment));
    // However short, the end of the waiting has a cell: a service, or the mark of having left.
    let called = called.min(time.cells - 1);
    let gone = gone.max(called + 1);
    let end = if let State::Left { .. } = visit.state {
        SERVED.cells(gone - called - 1) + &LEFT.cells(1)
    } else {
        SERVED.cells(gone - called)
    };
    " ".repeat(came) + &WAITING.cells(called.saturating_sub(came)) + &end
}

/// The axis, and under it the labels of those ticks for which there is room.
fn axis(time: &Scale) -> String {
    let mut line = vec!['─'; time.cells];
    let mut labels = String::new();
    for tick in axis::ticks(time.length, time.cells as u64 / 10) {
        let (cell, label) = (time.cell(tick), axis::label(tick));
        if cell + label.len() <= time.cells {
            line[cell] = '┬';
            labels += &" ".repeat(cell - labels.len());
            labels += &label;
        }
    }
    let line = String::from_iter(line);
    format!("{0:LABELS$} └{line}\n{0:LABELS$}  {labels}\n", "")
}

fn legend(day: &Day) -> String {
    let fills = if day.left == 0 { &[WAITING, SERVED][..] } else { &[WAITING, SERVED, LEFT] };
    let entries = fills.iter().map(|fill| format!("  {} {}", fill.cells(3), fill.meaning));
    format!("{:LABELS$}{}\n", "", entries.collect::<String>())
}

/// Maps times to cells.
struct Scale {
    length: Duration,
    cells: usize,
}

impl Scale {
    /// The cell whose left edge is nearest to `time`; the end of the day is one past the last.
    ///
    /// Rounding keeps the order of times, so a service never covers the end of the one before it.
    fn cell(&self, time: Duration) -> usize {
        let length = self.length.as_nanos().max(1);
        let cell = (time.as_nanos() * self.cells as u128 + length / 2) / length;
        usize::try_from(cell).expect("no time is after the end of the day")
    }
}
