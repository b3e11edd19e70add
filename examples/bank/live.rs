//! The terminal of the live screen: frames out, keys in, and everything as it was at the end.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::{cursor, execute, terminal};
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval};

use super::grid::Grid;
use super::screen;
use super::story::Bank;

/// Often enough for bars that seem to glide.
const FRAME: Duration = Duration::from_millis(50);

/// Whether there is a terminal to draw on, and to press keys at.
pub(crate) fn is_possible() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !is_dumb
}

/// Shows the day, and does what the keys say, until one of them, or a signal, ends it.
///
/// Dropped, it gives the terminal back.
pub(crate) async fn show(bank: &Bank) -> io::Result<()> {
    let mut terminal = Terminal::take()?;
    let mut asked_to_end = pin!(asked_to_end());
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            asked = &mut asked_to_end => return asked.and_then(|()| bank.close()),
            _ = frames.tick() => {}
        }
        while event::poll(Duration::ZERO)? {
            let tellers = bank.status().limit;
            match key(&event::read()?) {
                Some('+' | '=') => {
                    bank.set_tellers(tellers.saturating_add(1).min(u16::MAX.into()))?
                }
                Some('-') => bank.set_tellers(tellers.saturating_sub(1))?,
                Some('c') => bank.close()?,
                Some('q') => return bank.close(),
                _ => {}
            }
        }
        terminal.show(|columns, rows| {
            let mut day = bank.day();
            day.now = bank.now();
            screen::draw(&day, &bank.status(), columns, rows)
        })?;
    }
}

/// The key that was pressed; Ctrl-C, which raw terminals send as a key, is a `q`.
fn key(event: &Event) -> Option<char> {
    let Event::Key(key) = event else { return None };
    match key.code {
        _ if key.kind == KeyEventKind::Release => None,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some('q'),
        KeyCode::Char(character) => Some(character.to_ascii_lowercase()),
        _ => None,
    }
}

/// Waits for a signal that ends programs.
async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    ctrl_c().await
}

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, as long as it is ours.
struct Terminal {
    colors: bool,
    shown: Option<Grid>,
}

impl Terminal {
    fn take() -> io::Result<Self> {
        // What a panic has to say would be lost with the screen.
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            earlier(panic);
        }));
        let colors = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = Self { colors, shown: None };
        terminal::enable_raw_mode()?;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(terminal)
    }

    /// Brings what `draw` makes for this many columns and rows onto the screen.
    fn show(&mut self, draw: impl FnOnce(usize, usize) -> Grid) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (columns, rows) = match terminal_size::terminal_size_of(io::stdout()) {
            Some((columns, rows)) if columns.0 > 0 && rows.0 > 0 => {
                (columns.0.into(), rows.0.into())
            }
            _ => (80, 24),
        };
        let grid = draw(columns, rows);
        let same_size = |shown: &Grid| (shown.columns, shown.rows) == (columns, rows);
        let changes = match self.shown.take().filter(same_size) {
            Some(shown) => grid.changes(&shown, self.colors),
            None => "\x1b[2J".to_owned() + &grid.changes(&Grid::new(columns, rows), self.colors),
        };
        self.shown = Some(grid);
        // In one piece, so that no half of a frame is ever seen.
        let mut out = io::stdout().lock();
        out.write_all(changes.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes the terminal what it was. There is nobody to tell if that fails.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        drop(execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen));
        drop(terminal::disable_raw_mode());
    }
}
