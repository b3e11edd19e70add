//! The day in the terminal, as the bank draws its own: a row for each job.

use std::io;
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};

use crate::axis;
use crate::day::{Day, Job};

/// `worker 2, job 4`
const LABELS: usize = "Worker 1, job 10".len();

/// What a part of a row is filled with: told apart by the character, and by colour where there is some.
struct Fill {
    character: char,
    color: AnsiColor,
    meaning: &'static str,
}

const WAITING: Fill = Fill { character: '·', color: AnsiColor::Yellow, meaning: "waiting" };
const HOLDING: Fill = Fill { character: '█', color: AnsiColor::Green, meaning: "with a permit" };
const DEAD: Fill =
    Fill { character: 'x', color: AnsiColor::Red, meaning: "killed, until the lease ends" };

impl Fill {
    fn cells(&self, count: usize) -> String {
        let style = Style::new().fg_color(Some(Color::Ansi(self.color)));
        let cells = self.character.to_string().repeat(count);
        format!("{style}{cells}{style:#}")
    }
}

/// The columns to draw on: those of the terminal, or 80 where there is none.
pub(crate) fn columns() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| width.0.into())
}

/// Draws a row for each job, an axis and a legend, with colours.
pub(crate) fn draw(day: &Day, columns: usize) -> String {
    let cells = columns.saturating_sub(LABELS + 2).max(10);
    let cell = |time: Duration| {
        let length = day.length().as_nanos().max(1);
        let cell = (time.as_nanos() * cells as u128 + length / 2) / length;
        usize::try_from(cell).unwrap_or(cells).min(cells)
    };
    let mut rows: Vec<_> = day.jobs.iter().collect();
    rows.sort_by_key(|job| (job.worker, job.number));
    let mut text = String::new();
    for job in rows {
        let label = format!("Worker {}, job {}", job.worker, job.number);
        text += &format!("{label:<LABELS$} │{}\n", row(day, job, cell));
    }
    text += &time_axis(day, cells, cell);
    for fill in [WAITING, HOLDING, DEAD] {
        text += &format!("  {} {}", fill.cells(3), fill.meaning);
    }
    text + "\n"
}

fn row(day: &Day, job: &Job, cell: impl Fn(Duration) -> usize) -> String {
    let end = job.gone.unwrap_or_else(|| day.length());
    let dead =
        day.killed.filter(|_| day.is_orphan(job)).map_or(end, |killed| killed.max(job.asked));
    let granted = job.granted.unwrap_or(end).min(dead);
    let [asked, granted, dead, end] = [job.asked, granted, dead, end].map(cell);
    let mut text = " ".repeat(asked);
    for (fill, from, to) in [(WAITING, asked, granted), (HOLDING, granted, dead), (DEAD, dead, end)]
    {
        if to > from {
            text += &fill.cells(to - from);
        }
    }
    text
}

/// The axis, and under it the labels of those ticks for which there is room.
fn time_axis(day: &Day, cells: usize, cell: impl Fn(Duration) -> usize) -> String {
    let mut line = vec!['─'; cells];
    let mut labels = String::new();
    for tick in axis::ticks(day.length(), cells as u64 / 10) {
        let (at, label) = (cell(tick), axis::label(tick));
        if at + label.len() <= cells {
            line[at] = '┬';
            labels += &" ".repeat(at - labels.len());
            labels += &label;
        }
    }
    let line = String::from_iter(line);
    format!("{0:LABELS$} └{line}\n{0:LABELS$}  {labels}\n", "")
}
