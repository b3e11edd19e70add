//! What the live screen shows of a day: who is served, who waits, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use anstyle::Style;
use semafair::Status;

use super::day::{Day, State};
use super::fill::{BEING_SERVED, LEFT, SERVED, TO_COME, WAITING};
use super::grid::Grid;

/// The smallest terminal in which there is room for everything.
const COLUMNS: usize = 60;
const ROWS: usize = 14;
/// The space at the left and at the right.
const MARGIN: usize = 2;
/// Lists have as many columns as they can, of at least this width, and so far apart.
const ENTRY: usize = 34;
const GAP: usize = 4;
/// How wide the longest of these is: `99.9s`, `59m59s`, `23h59m`.
const TIME: usize = 6;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Draws the day as it is at `day.now`.
pub(crate) fn draw(day: &Day, status: &Status, columns: usize, rows: usize) -> Grid {
    let mut grid = Grid::new(columns, rows);
    if columns < COLUMNS || rows < ROWS {
        grid.put(0, 0, &format!("{COLUMNS} columns, {ROWS} rows, please."), PLAIN);
        return grid;
    }
    let tellers = Tellers::of(day, status);
    Screen { grid, day, status, left: MARGIN, right: columns - MARGIN }.draw(&tellers)
}

struct Screen<'a> {
    grid: Grid,
    day: &'a Day,
    status: &'a Status,
    left: usize,
    right: usize,
}

impl Screen<'_> {
    fn draw(mut self, tellers: &Tellers) -> Grid {
        self.heading(0);
        self.whole_day(1);
        self.figures(2);

        let (top, last) = (5, self.grid.rows - 1);
        // At least half of what is left belongs to the line. 4: its heading, the keys, and the space above both.
        let most = (last + 1 - top - 4) / 2;
        let list = List::new(&self, top, most, tellers.count());
        self.tellers_heading(top - 1);
        self.tellers(&list, tellers);

        let top = top + list.rows + 2;
        self.line_heading(top - 1);
        self.line(&List::of_all_columns(&self, top, last - 1 - top));
        self.keys(last);
        self.grid
    }

    fn heading(&mut self, row: usize) {
        let end = self.grid.put(row, self.left, "The bank ", BOLD);
        if self.status.is_closed {
            self.grid.put(row, end, "has closed", LEFT.style().bold());
        } else {
            self.grid.put(row, end, "is open", SERVED.style().bold());
        }
        let seconds = self.day.now.as_secs();
        let clock = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        self.grid.put_right(row, self.right, &clock, BOLD);
    }

    /// All customers of the day, in the order in which they come, from left to right.
    fn whole_day(&mut self, row: usize) {
        let Day { done, left, .. } = *self.day;
        let (served, waiting) = (self.day.desks.len(), self.day.waiting.len());
        let width = self.right - self.left;
        let all = (self.day.expected as usize).max(1);
        let mut column = self.left;
        let mut sum = 0;
        for (count, fill) in [
            (done, SERVED),
            (served, BEING_SERVED),
            (waiting, WAITING),
            (left, LEFT),
            (self.day.to_come(), TO_COME),
        ] {
            sum += count;
            let end = self.left + width * sum / all;
            self.grid.put(row, column, &fill.plain(end - column), fill.style());
            column = end;
        }
    }

    fn figures(&mut self, row: usize) {
        let day = self.day;
        let rest = if day.closed {
            (day.left, "refused", LEFT)
        } else {
            (day.to_come(), "to come", TO_COME)
        };
        let figures = [
            (day.done, "served", SERVED),
            (day.desks.len(), "at tellers", BEING_SERVED),
            (day.waiting.len(), "waiting", WAITING),
            rest,
        ];
        let widths = figures.map(|(count, what, _)| digits(count) + 1 + what.len());
        let room = self.right - self.left;
        let gap =
            if widths.iter().sum::<usize>() + 3 * (figures.len() - 1) <= room { 3 } else { 2 };
        let mut column = self.left;
        for ((count, what, fill), width) in figures.into_iter().zip(widths) {
            // Half a figure would be wrong: rather none.
            if column + width <= self.right {
                column = self.grid.put(row, column, &count.to_string(), fill.style().bold());
                column = self.grid.put(row, column + 1, what, FAINT) + gap;
            }
        }
    }

    fn tellers_heading(&mut self, row: usize) {
        self.grid.put(row, self.left, "Tellers", BOLD);
        let Status { limit, available, debt, .. } = *self.status;
        let style = if debt > 0 { LEFT.style().bold() } else { FAINT };
        let debt = format!("debt {debt}");
        self.grid.put_right(row, self.right, &debt, style);
        let end = self.right - debt.len();
        self.grid.put_right(row, end, &format!("limit {limit}   available {available}   "), FAINT);
    }

    fn tellers(&mut self, list: &List, tellers: &Tellers) {
        let shown = list.shown(tellers.count());
        if tellers.count() == 0 {
            self.grid.put(list.top, self.left, "there is none", FAINT);
        }
        let entries = tellers.first(shown, self.day);
        let digits = digits(entries.last().map_or(1, |(desk, _)| *desk)).max(2);
        let customers = digits_of(entries.iter().filter_map(|(_, customer)| *customer));
        for (index, (desk, customer)) in entries.into_iter().enumerate() {
            let (row, column) = list.place(index);
            let end = column + list.width;
            let column = self.grid.put(row, column, &format!("{desk:>digits$}"), PLAIN) + 2;
            let Some(customer) = customer else {
                self.grid.put(row, column, "free", FAINT);
                continue;
            };
            let State::Served { called, service, .. } = self.day.visit(customer).state else {
                continue;
            };
            let is_last = tellers.going.contains(&customer);
            let (who, style) =
                if is_last { ("last one", LEFT.style()) } else { ("customer", FAINT) };
            let passed = self.day.now.saturating_sub(called);
            self.grid.put_right(row, end, &time(service.saturating_sub(passed)), PLAIN);
            let who = format!("{who} {customer:<customers$}");
            let behind = end - TIME - 1 - who.chars().count();
            let number = format!("{customer:<customers$}");
            self.grid.put(row, behind, &who, style);
            self.grid.put_right(row, behind + who.len(), &number, PLAIN);
            let width = behind.saturating_sub(column + 2);
            self.progress(row, column, width, passed, service);
        }
        self.rest(list, shown, tellers.count(), "more tellers");
    }

    /// A bar of how much of a service is over, exact to an eighth of a cell.
    fn progress(
        &mut self,
        row: usize,
        column: usize,
        width: usize,
        passed: Duration,
        all: Duration,
    ) {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let eighths = share(passed, all, width * 8);
        self.grid.put(row, column, &"·".repeat(width), FAINT);
        let end = self.grid.put(row, column, &SERVED.plain(eighths / 8), SERVED.style());
        self.grid.put(row, end, EIGHTHS[eighths % 8], SERVED.style());
    }

    fn line_heading(&mut self, row: usize) {
        self.grid.put(row, self.left, "The line", BOLD);
        let longest = format!("longest wait {}", time(self.day.longest_wait()));
        self.grid.put_right(row, self.right, &longest, FAINT);
    }

    /// Who waits, the head of the line first; the longest wait fills the bar.
    fn line(&mut self, list: &List) {
        let day = self.day;
        let count = day.waiting.len();
        if count == 0 {
            let what =
                if day.closed { "nobody waits: the bank has closed" } else { "nobody waits" };
            self.grid.put(list.top, self.left, what, FAINT);
            return;
        }
        let shown = list.shown(count);
        let digits = digits_of(day.waiting.iter().copied().take(shown)).max(2);
        let head = day.waiting.first().map(|&head| day.visit(head).waited(day.now));
        for (index, &customer) in day.waiting.iter().take(shown).enumerate() {
            let (row, column) = list.place(index);
            let end = column + list.width;
            let column = self.grid.put(row, column, &format!("{customer:>digits$}"), PLAIN) + 2;
            let waited = day.visit(customer).waited(day.now);
            self.grid.put_right(row, end, &time(waited), PLAIN);
            let width = (end - TIME - 2).saturating_sub(column);
            let cells = share(waited, head.unwrap_or_default(), width);
            self.grid.put(row, column, &WAITING.plain(cells), WAITING.style());
        }
        self.rest(list, shown, count, "more behind them");
    }

    /// The last entry of a list that has no room for all.
    fn rest(&mut self, list: &List, shown: usize, all: usize, what: &str) {
        if shown < all {
            let (row, column) = list.place(shown);
            self.grid.put(row, column, &format!("… and {} {what}", all - shown), FAINT);
        }
    }

    fn keys(&mut self, row: usize) {
        let mut column = self.left;
        for (key, what) in
            [("+", "one teller more"), ("-", "one less"), ("c", "close"), ("q", "end the day")]
        {
            column = self.grid.put(row, column, key, BOLD);
            column = self.grid.put(row, column + 1, what, FAINT) + 3;
        }
    }
}

/// The desks that are to be seen: where a teller serves, or is free.
struct Tellers {
    serving: usize,
    free: usize,
    /// The customers whose tellers go after them: those who will be done first pay the debt.
    going: BTreeSet<u32>,
}

impl Tellers {
    fn of(day: &Day, status: &Status) -> Self {
        let serving = day.desks.len();
        let mut ends: Vec<_> = if status.debt == 0 {
            Vec::new()
        } else {
            let ends = day.desks.values().filter_map(|&customer| match day.visit(customer).state {
                State::Served { called, service, .. } => Some((called + service, customer)),
                _ => None,
            });
            ends.collect()
        };
        ends.sort_unstable();
        let going = ends.into_iter().take(status.debt).map(|(_, customer)| customer).collect();
        Self { serving, free: status.limit.saturating_sub(serving), going }
    }

    fn count(&self) -> usize {
        self.serving + self.free
    }

    /// The first desks, and who is served there. Free tellers sit at the lowest desks.
    fn first(&self, count: usize, day: &Day) -> Vec<(usize, Option<u32>)> {
        let mut free = self.free;
        let desks = (1..).filter_map(|desk| match day.desks.get(&desk) {
            Some(&customer) => Some((desk, Some(customer))),
            None if free > 0 => {
                free -= 1;
                Some((desk, None))
            }
            None => None,
        });
        desks.take(count).collect()
    }
}

/// Where the entries of a list go: down the first column, then down the next.
struct List {
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
    width: usize,
}

impl List {
    /// One column, if `count` entries fit into `most` rows.
    fn new(screen: &Screen<'_>, top: usize, most: usize, count: usize) -> Self {
        if count <= most {
            let width = screen.right - screen.left;
            return Self { top, left: screen.left, rows: count.max(1), columns: 1, width };
        }
        let list = Self::of_all_columns(screen, top, most);
        Self { rows: most.min(count.div_ceil(list.columns)), ..list }
    }

    fn of_all_columns(screen: &Screen<'_>, top: usize, rows: usize) -> Self {
        let all = screen.right - screen.left;
        let columns = ((all + GAP) / (ENTRY + GAP)).max(1);
        let width = (all + GAP) / columns - GAP;
        Self { top, left: screen.left, rows, columns, width }
    }

    /// How many of `count` entries are shown. If not all, the last place tells of the rest.
    fn shown(&self, count: usize) -> usize {
        let places = self.rows * self.columns;
        if count <= places { count } else { places - 1 }
    }

    fn place(&self, index: usize) -> (usize, usize) {
        (self.top + index % self.rows, self.left + index / self.rows * (self.width + GAP))
    }
}

/// How many of `cells` are filled when `part` of `all` is over.
fn share(part: Duration, all: Duration, cells: usize) -> usize {
    if part >= all {
        return cells;
    }
    let cells = part.as_nanos() * cells as u128 / all.as_nanos();
    usize::try_from(cells).expect("a part is not more than all")
}

/// A duration in at most six characters, unless it takes days.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..100 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        100..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// How many digits the largest of these has.
fn digits_of(numbers: impl Iterator<Item = u32>) -> usize {
    digits(numbers.max().unwrap_or_default() as usize)
}
