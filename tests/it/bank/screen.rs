//! The live screen of the bank, drawn from days that are made up, without a terminal.

use std::time::Duration;

use semafair::Semaphore;

// The bank is a program, so that its files are read here a second time.
#[path = "../../../examples/bank/day.rs"]
mod day;
#[path = "../../../examples/bank/fill.rs"]
mod fill;
#[path = "../../../examples/bank/grid.rs"]
mod grid;
#[path = "../../../examples/bank/screen.rs"]
mod picture;

use day::{Day, Event};
use grid::Grid;

/// A day at which events are told in milliseconds.
struct Told(Day);

impl Told {
    fn note(&mut self, millis: u32, event: Event) {
        self.0.note(Duration::from_millis(millis.into()), event);
    }

    fn call(&mut self, millis: u32, customer: u32, service: u64) {
        let service = Duration::from_millis(service);
        self.note(millis, Event::Called { customer, service });
    }
}

/// Three tellers, twelve customers who were served, and a line of eleven: one comes each half second.
fn morning() -> Day {
    let mut told = Told(Day::new(3, 40, 7));
    for customer in 1..=26 {
        let now = 500 * (customer - 1);
        told.note(now, Event::Came { customer });
        if let 1..=3 = customer {
            told.call(now, customer, 3500);
        }
        if let 8..=19 = customer {
            told.note(now, Event::Done { customer: customer - 7 });
            told.call(now, customer - 4, 4000 + 500 * u64::from(customer % 3));
        }
    }
    told.0
}

/// Many customers at once, and as many tellers as this.
fn rush(tellers: u16, customers: u32) -> Day {
    let mut told = Told(Day::new(tellers.into(), customers, 7));
    for customer in 1..=customers {
        told.note(0, Event::Came { customer });
        if customer <= tellers.into() {
            told.call(0, customer, 10_000 + 100 * u64::from(customer % 17));
        }
    }
    told.0
}

/// Draws a day at a moment, of tellers some of whom serve.
fn draw(day: &mut Day, millis: u64, tellers: &Semaphore, (columns, rows): (usize, usize)) -> Grid {
    day.now = Duration::from_millis(millis);
    picture::draw(day, &tellers.status(), columns, rows)
}

/// Tellers, of whom some serve: as many guards are forgotten as are out.
fn tellers(limit: usize, serve: u32) -> Semaphore {
    let tellers = Semaphore::new(limit.max(serve as usize));
    std::mem::forget(tellers.try_acquire_many(serve).expect("so many are free"));
    tellers.set_limit(limit);
    tellers
}

#[track_caller]
fn compare(drawn: &Grid, expected: &str) {
    let drawn = drawn.to_string();
    assert!(drawn == expected, "this was drawn:\n{drawn}\ninstead of:\n{expected}");
}

#[test]
fn a_morning_with_a_debt_in_80_columns() {
    let drawn = draw(&mut morning(), 12_900, &tellers(2, 3), (80, 24));
    compare(&drawn, include_str!("screens/80x24.txt"));
}

#[test]
fn a_hundred_thousand_customers_in_60_columns() {
    let drawn = draw(&mut rush(200, 100_000), 5_250, &tellers(200, 200), (60, 20));
    compare(&drawn, include_str!("screens/60x20.txt"));
}

#[test]
fn thirty_tellers_in_120_columns() {
    let drawn = draw(&mut rush(30, 300), 4_250, &tellers(30, 30), (120, 40));
    compare(&drawn, include_str!("screens/120x40.txt"));
}

#[test]
fn a_closed_bank_finishes_whom_it_serves() {
    let mut told = Told(morning());
    let tellers = tellers(4, 3);
    tellers.close();
    told.note(12_600, Event::Closes);
    for customer in 16..=26 {
        told.note(12_700, Event::Left { customer });
    }
    let drawn = draw(&mut told.0, 12_900, &tellers, (60, 20));
    compare(&drawn, include_str!("screens/closed.txt"));
}

#[test]
fn free_tellers_sit_at_the_lowest_desks() {
    let mut told = Told(rush(3, 3));
    told.note(10_100, Event::Done { customer: 1 });
    let drawn = draw(&mut told.0, 10_110, &tellers(4, 2), (60, 20)).to_string();
    let desks: Vec<_> = drawn.lines().skip(5).take(4).collect();
    assert!(desks[0].contains(" 1  free") && desks[3].contains(" 4  free"), "{drawn}");
    assert!(desks[1].contains("customer 2") && desks[2].contains("customer 3"), "{drawn}");
}

/// Who pays a debt: the tellers who will be done first.
#[test]
fn the_tellers_who_go_are_marked() {
    let drawn = draw(&mut rush(17, 20), 1_000, &tellers(15, 17), (60, 60)).to_string();
    let going: Vec<_> = drawn.lines().filter(|line| line.contains("last one")).collect();
    assert_eq!(going.len(), 2, "{drawn}");
    assert!(going[0].contains("last one 1 ") && going[1].contains("last one 17"), "{drawn}");
}

/// On any terminal, nothing panics, and nothing is wider than it may be.
#[test]
fn every_size_is_drawn() {
    let mut days = [morning(), rush(200, 1000), rush(0, 50), Day::new(1, 0, 7)];
    for (day, serve) in days.iter_mut().zip([3, 200, 0, 0]) {
        let tellers = tellers(serve as usize, serve);
        for columns in (1..130).step_by(9).chain(58..62) {
            for rows in (1..50).step_by(4).chain(12..17) {
                let drawn = draw(day, 20_000, &tellers, (columns, rows)).to_string();
                assert_eq!(drawn.lines().count(), rows);
                let margin = if columns < 60 || rows < 14 { 0 } else { 2 };
                for line in drawn.lines() {
                    assert!(
                        line.chars().count() <= columns - margin,
                        "{columns}, {rows}:\n{drawn}"
                    );
                }
            }
        }
    }
}

/// The differences alone turn what a terminal shows into the next picture.
#[test]
fn a_terminal_that_is_told_the_differences_shows_the_same() {
    let (columns, rows) = (80, 24);
    for colors in [true, false] {
        let mut terminal = vt100::Parser::new(24, 80, 0);
        let mut day = morning();
        let mut shown = Grid::new(columns, rows);
        for (millis, limit) in [(12_600, 3), (12_650, 3), (12_700, 1), (13_900, 5), (99_900, 3)] {
            let next = draw(&mut day, millis, &tellers(limit, 3), (columns, rows));
            let changes = next.changes(&shown, colors);
            terminal.process(changes.as_bytes());
            shown = next;
            let text: Vec<_> = shown.to_string().lines().map(str::to_owned).collect();
            let seen: Vec<_> = terminal.screen().rows(0, 80).collect();
            for (text, seen) in text.iter().zip(&seen) {
                assert_eq!(text, seen.trim_end());
            }
        }
        assert_eq!(shown.changes(&shown, colors), "", "what has not changed is not drawn again");
        let served = terminal.screen().cell(5, 6).expect("it is on the screen");
        assert_eq!(served.contents(), "█");
        assert_eq!(served.fgcolor() == vt100::Color::Default, !colors);
    }
}
