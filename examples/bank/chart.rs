//! The timeline in the terminal.

use std::io;
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};

use crate::axis;
use crate::day::{Day, Visit};

/// More rows than this are an excerpt: the chart should fit on a screen.
const ROWS: usize = 40;
/// The numbers of the customers, under their heading.
const LABELS: usize = "Customer".len();

/// What a part of a row is filled with: told apart by the character, and by colour where there is
/// some.
struct Fill {
    character: char,
    color: AnsiColor,
    meaning: &'static str,
}

const WAITING: Fill = Fill { character: '·', color: AnsiColor::Yellow, meaning: "waiting" };
const SERVED: Fill = Fill { character: '█', color: AnsiColor::Green, meaning: "being served" };
const LEFT: Fill = Fill { character: 'x', color: AnsiColor::Red, meaning: "left unserved" };

impl Fill {
    fn cells(&self, count: usize) -> String {
        let style = Style::new().fg_color(Some(Color::Ansi(self.color)));
        let cells = self.character.to_string().repeat(count);
        format!("{style}{cells}{style:#}")
    }
}

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
    let time = Scale { length: day.length(), cells: columns.saturating_sub(LABELS + 2).max(10) };
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
    let came = time.cell(visit.came);
    // However short, the end of the waiting has a cell: a service, or the mark of having left.
    let called = time.cell(visit.called).min(time.cells - 1);
    let gone = time.cell(visit.gone).max(called + 1);
    let end = if visit.service.is_some() { SERVED } else { LEFT };
    " ".repeat(came) + &WAITING.cells(called.saturating_sub(came)) + &end.cells(gone - called)
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
    let (_, left) = day.served_and_left();
    let fills = if left == 0 { &[WAITING, SERVED][..] } else { &[WAITING, SERVED, LEFT] };
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
