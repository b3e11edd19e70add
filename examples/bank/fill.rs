//! What the times of customers are filled with, in the chart and on the live screen.

use anstyle::{AnsiColor, Color, Style};

/// Told apart by the character, and by colour where there is some.
#[derive(Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) character: char,
    color: AnsiColor,
    pub(crate) meaning: &'static str,
}

pub(crate) const WAITING: Fill =
    Fill { character: '·', color: AnsiColor::Yellow, meaning: "waiting" };
pub(crate) const SERVED: Fill =
    Fill { character: '█', color: AnsiColor::Green, meaning: "being served" };
/// Of a whole day: those who are at the tellers now.
pub(crate) const BEING_SERVED: Fill =
    Fill { character: '▓', color: AnsiColor::Green, meaning: "at a teller" };
pub(crate) const TO_COME: Fill =
    Fill { character: '░', color: AnsiColor::BrightBlack, meaning: "to come" };
pub(crate) const LEFT: Fill =
    Fill { character: 'x', color: AnsiColor::Red, meaning: "left unserved" };

impl Fill {
    pub(crate) fn style(self) -> Style {
        Style::new().fg_color(Some(Color::Ansi(self.color)))
    }

    pub(crate) fn plain(self, count: usize) -> String {
        self.character.to_string().repeat(count)
    }

    /// With the colour, as escape sequences.
    pub(crate) fn cells(self, count: usize) -> String {
        let (style, cells) = (self.style(), self.plain(count));
        format!("{style}{cells}{style:#}")
    }
}
