//! A screen as a grid of characters, and what turns the grid that a terminal shows into the next one.

use std::fmt::{self, Write};

use anstyle::Style;

/// Characters of one column each.
pub(crate) struct Grid {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, PartialEq)]
struct Cell {
    character: char,
    style: Style,
}

impl Grid {
    /// A grid of spaces.
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        let space = Cell { character: ' ', style: Style::new() };
        Self { rows, columns, cells: vec![space; columns * rows] }
    }

    /// Writes `text`, and returns the column behind it. What does not fit into the row is cut off.
    pub(crate) fn put(&mut self, row: usize, column: usize, text: &str, style: Style) -> usize {
        let mut end = column;
        for character in text.chars() {
            if row < self.rows && end < self.columns {
                self.cells[row * self.columns + end] = Cell { character, style };
            }
            end += 1;
        }
        end
    }

    /// Writes `text` so that it ends before column `end`.
    pub(crate) fn put_right(&mut self, row: usize, end: usize, text: &str, style: Style) {
        self.put(row, end.saturating_sub(text.chars().count()), text, style);
    }

    /// What a terminal that shows `before`, a grid of the same size, needs to show this one.
    pub(crate) fn changes(&self, before: &Self, colors: bool) -> String {
        let mut text = String::new();
        let mut style = Style::new();
        // Where the terminal's cursor is, and how it writes: both are said only when they change.
        let mut cursor = None;
        for (index, cell) in self.cells.iter().enumerate() {
            if before.cells[index] == *cell {
                continue;
            }
            let (row, column) = (index / self.columns, index % self.columns);
            if cursor != Some(index) || column == 0 {
                let _infallible = write!(text, "\x1b[{};{}H", row + 1, column + 1);
            }
            if colors && style != cell.style {
                let _infallible = write!(text, "{style:#}{}", cell.style);
                style = cell.style;
            }
            text.push(cell.character);
            cursor = Some(index + 1);
        }
        if style != Style::new() {
            let _infallible = write!(text, "{style:#}");
        }
        text
    }
}

/// The text alone.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.cells.chunks(self.columns) {
            let row: String = row.iter().map(|cell| cell.character).collect();
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}
