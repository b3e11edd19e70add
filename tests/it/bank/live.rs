//! The bank's live screen, in a terminal: keys are pressed, and what it shows is read.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::OpenptFlags;
use rustix::termios::{Termios, Winsize};

use super::program::example;
use crate::support::watchdog;

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// A bank in a terminal of its own, which ends with the test.
struct Live {
    bank: Child,
    /// What the user of the terminal has: reads what is written to it, and types.
    user: File,
    /// The side of the program.
    terminal: OwnedFd,
    screen: vt100::Parser,
    before: Termios,
}

impl Live {
    fn start(options: &str, variables: &[(&str, &str)]) -> Self {
        watchdog::watch();
        let user = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .expect("there are terminals");
        rustix::io::fcntl_setfd(&user, FdFlags::CLOEXEC).expect("it stays with the test");
        rustix::pty::grantpt(&user).expect("it is ours");
        rustix::pty::unlockpt(&user).expect("it is ours");
        let path = rustix::pty::ptsname(&user, Vec::new()).expect("it has a path");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(path, flags, Mode::empty()).expect("it can be opened");
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal, size).expect("it has any size");
        let before = rustix::termios::tcgetattr(&terminal).expect("it is a terminal");

        let side = || terminal.try_clone().expect("it can be shared");
        let bank = Command::new(example("bank"))
            .args(options.split(' '))
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR")
            .env_remove("CLICOLOR_FORCE")
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("the bank can be started");
        let screen = vt100::Parser::new(ROWS, COLUMNS, 200);
        Self { bank, user: user.into(), terminal, screen, before }
    }

    /// Waits until the screen shows all of this, and returns it.
    fn until(&mut self, parts: &[&str]) -> String {
        // A few at a time: what a screen shows for a moment only is seen, too.
        let mut bytes = [0; 32];
        loop {
            let shown = self.screen.screen().contents();
            if parts.iter().all(|part| shown.contains(part)) {
                return shown;
            }
            let count = self.user.read(&mut bytes).expect("the terminal is open");
            self.screen.process(&bytes[..count]);
        }
    }

    fn press(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Reads to the end, and checks that the terminal is as it was.
    fn ends(&mut self, code: i32) -> String {
        let shown = self.until(&["Seed:"]);
        let status = self.bank.wait().expect("the bank ends");
        assert_eq!(status.code(), Some(code), "{shown}");
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "{shown}");
        assert!(!screen.hide_cursor(), "{shown}");
        let after = rustix::termios::tcgetattr(&self.terminal).expect("it is a terminal");
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
        shown
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.bank.kill());
        drop(self.bank.wait());
    }
}

/// Who is being served stays for an hour.
const LONG: &str =
    "--live --no-chart --tellers 1 --customers 5 --arrivals 0s --min-service 1h --max-service 1h";

#[test]
fn keys_run_the_bank() {
    let mut live = Live::start(LONG, &[]);
    let shown = live.until(&["customer 1", "4 waiting", "limit 1   available 0   debt 0"]);
    assert!(live.screen.screen().alternate_screen(), "{shown}");
    assert!(live.screen.screen().hide_cursor(), "{shown}");
    assert!(shown.contains("The bank is open"), "{shown}");

    live.press("++");
    live.until(&["customer 3", "2 waiting", "limit 3   available 0   debt 0"]);
    // The tellers who have served longest will be done first, and go then.
    live.press("--");
    live.until(&["3 at tellers", "last one", "limit 1   available 0   debt 2"]);
    live.press("c");
    live.until(&["The bank has closed", "3 at tellers", "0 waiting", "2 refused"]);
    live.press("q");
    let after = live.ends(130);
    assert!(after.contains("The bank has closed: 0 served, 5 left unserved."), "{after}");
    assert!(after.contains("Served at once:  3 at most (tellers: 1 to 3)"), "{after}");
}

/// A teller who is to go serves its customer to the end, and nobody after that.
#[test]
fn a_debt_is_paid_by_whoever_is_done() {
    let options =
        "--live --tellers 2 --customers 1000 --arrivals 0s --min-service 300ms --max-service 400ms";
    let mut live = Live::start(options, &[]);
    live.until(&["2 at tellers"]);
    live.press("--");
    live.until(&["0 at tellers", "there is none", "limit 0   available 0   debt 0"]);
    live.press("+");
    live.until(&["1 at tellers", "limit 1   available 0   debt 0"]);
    live.press("\x03");
    let after = live.ends(130);
    assert!(after.contains("left unserved"), "{after}");
}

#[test]
fn the_last_customer_ends_the_day() {
    let options =
        "--live --tellers 2 --customers 3 --arrivals 10ms --min-service 200ms --max-service 300ms";
    let mut live = Live::start(options, &[]);
    let after = live.ends(0);
    assert!(after.contains("All customers have been served."), "{after}");
    assert!(after.contains("3 │"), "there is no chart:\n{after}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut live = Live::start(LONG, &[]);
        live.until(&["customer 1", "4 waiting"]);
        kill_process(Pid::from_child(&live.bank), signal).expect("it takes signals");
        live.ends(130);
    }
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let mut live = Live::start(LONG, &[]);
    live.until(&["customer 1", "q end the day"]);
    live.screen.screen_mut().set_size(16, 60);
    let size = Winsize { ws_row: 16, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&live.terminal, size).expect("it has any size");
    let shown = live.until(&["customer 1", "debt 0\n", "q end the day"]);
    let last = shown.lines().last().expect("there are keys");
    assert!(last.contains("+ one teller more") && shown.lines().count() == 16, "{shown}");
    live.press("q");
    live.ends(130);
}

#[test]
fn no_color_is_honoured() {
    let colored = |live: &Live| {
        let screen = live.screen.screen();
        let mut cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    };
    for (variables, colors) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let mut live = Live::start(LONG, variables);
        live.until(&["customer 1", "4 waiting", "q end the day"]);
        assert_eq!(colored(&live), colors);
    }
}

#[test]
fn a_dumb_terminal_gets_the_log() {
    let options =
        "--live --customers 3 --arrivals 0s --min-service 10ms --max-service 20ms --no-chart";
    let mut live = Live::start(options, &[("TERM", "dumb")]);
    let shown = live.until(&["Seed:"]);
    assert!(shown.starts_with("--live needs a terminal"), "{shown}");
    assert!(shown.contains("Customer 3 is done being served."), "{shown}");
}
