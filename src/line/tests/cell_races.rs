//! A cell by itself: each of its states against all that can happen to it there, two or three at
//! once.
//!
//! Whatever comes first: no unit is lost or invented, each waker is taken once, whoever waits is
//! woken when its wait is over, and the WATCH mark stays in one hand.

use core::task::Waker;
use std::sync::Arc;
use std::vec::Vec;

use crate::core::tests::models::{Alarm, check, thread};
use crate::line::cell::Cell;
use crate::line::cell::{Finish, Published, Visited};
use crate::line::{Registered, Seen, Verdict};

/// What the waiter asks for.
const WANTS: u32 = 2;

/// The state of the cell when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// `OPEN(c)`.
    Open(u64),
    /// `PARKED(2)`.
    Parked,
    /// `PARKED(1)`.
    Partly,
    /// `PARKED(2)`, and the slot cannot be refilled again.
    WornOut,
    /// `AWAKE(2)`.
    Awake,
    /// `RETURN(2)`.
    Return,
}

/// What its owner does there.
#[derive(Clone, Copy, Debug)]
enum Owner {
    /// Publishes with a waker, and looks with another.
    Join,
    /// Publishes without a waker.
    JoinAwake,
    /// Looks so many times, each with another waker.
    LookAnew(usize),
    /// Leaves, when so many units are on their way.
    Leave(u32),
    /// Nothing: it has left.
    Gone,
}

/// What others do there.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// A deliverer brings units, and leaves them here if nobody has come.
    Deliver(u64),
    /// The same, who has seen that places behind were given out.
    Pass(u64),
    /// One who joined behind takes along what lies here.
    PickUp,
    /// One who lowers the limit takes back so many of the units that lie here.
    TakeBack(u64),
    Close,
    /// Whoever finished the last cell but this hands the mark on.
    Mark,
    /// A deliverer has left units in front.
    TellToLook,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    /// Units that came out of the cell.
    units: i64,
    /// How often the mark was put on the cell, less how often it was taken along.
    marks: i64,
}

impl Outcome {
    fn finished(&mut self, finish: Finish) {
        self.marks -= i64::from(finish == Finish::Watched);
    }
}

impl Other {
    fn run(self, cell: &Cell) -> Outcome {
        let mut outcome = Outcome::default();
        match self {
            Self::Deliver(units) | Self::Pass(units) => loop {
                match cell.deliver(units) {
                    Visited::Served { took, waker } => {
                        outcome.units = i64::try_from(units).unwrap() - i64::from(took);
                        waker.into_iter().for_each(Waker::wake);
                        break;
                    }
                    Visited::Returned { units: returned, finish } => {
                        // Those that go back, and those that go on.
                        outcome.units = i64::try_from(units).unwrap();
                        assert!(if finish.is_some() { returned > 0 } else { returned == units });
                        finish.into_iter().for_each(|finish| outcome.finished(finish));
                        break;
                    }
                    Visited::Satisfied => {
                        outcome.units = i64::try_from(units).unwrap();
                        break;
                    }
                    Visited::Short => break,
                    Visited::Open if matches!(self, Self::Pass(_)) => {
                        if let Some(left) = cell.take_units(true) {
                            outcome.units = i64::try_from(units + left).unwrap();
                            break;
                        }
                    }
                    Visited::Open if cell.leave_units(units).is_some() => break,
                    Visited::Open => {}
                }
            },
            Self::PickUp => {
                if cell.units_left().is_some_and(|left| left > 0) {
                    outcome.units = i64::try_from(cell.take_units(true).unwrap_or(0)).unwrap();
                }
            }
            Self::Close => loop {
                match cell.void() {
                    Visited::Served { waker, .. } => {
                        waker.into_iter().for_each(Waker::wake);
                        break;
                    }
                    Visited::Returned { units, finish } => {
                        assert_eq!(units, 0, "it brings none");
                        outcome.finished(finish.expect("it is over"));
                        break;
                    }
                    Visited::Satisfied => break,
                    Visited::Short => unreachable!("a waiter is voided whole"),
                    Visited::Open => {
                        if let Some(left) = cell.take_units(true) {
                            outcome.units = i64::try_from(left).unwrap();
                            break;
                        }
                    }
                }
            },
            Self::TakeBack(units) => {
                outcome.units = i64::try_from(cell.take_back(units).unwrap_or(0)).unwrap();
            }
            Self::Mark => outcome.marks = i64::from(cell.watch()),
            Self::TellToLook => drop(cell.tell_to_look()),
        }
        outcome
    }

    /// How many units it brings.
    fn brings(self) -> i64 {
        match self {
            Self::Deliver(units) | Self::Pass(units) => i64::try_from(units).unwrap(),
            Self::PickUp | Self::TakeBack(_) | Self::Close | Self::Mark | Self::TellToLook => 0,
        }
    }
}

/// The waiter of a cell.
struct Waiter<'a> {
    cell: &'a Cell,
    /// One for each waker, the latest last.
    alarms: Vec<Arc<Alarm>>,
    /// Whether it has a place here, and has not left it.
    is_there: bool,
    /// Whether it will look without being woken.
    is_awake: bool,
    outcome: Outcome,
}

impl<'a> Waiter<'a> {
    fn new(cell: &'a Cell) -> Self {
        let outcome = Outcome::default();
        Self { cell, alarms: Vec::new(), is_there: false, is_awake: false, outcome }
    }

    fn waker(&mut self) -> Waker {
        self.alarms.push(Arc::default());
        Waker::from(self.alarms[self.alarms.len() - 1].clone())
    }

    fn publish(&mut self, waker: Option<Waker>) {
        let is_awake = waker.is_none();
        let waker = match waker.map(|waker| self.cell.try_publish(false, WANTS, waker)) {
            Some(Ok(())) => {
                self.is_there = true;
                return;
            }
            Some(Err(waker)) => Some(waker),
            None => None,
        };
        match self.cell.publish(WANTS, waker) {
            Published::Waiting => {
                self.is_there = true;
                self.is_awake = is_awake;
            }
            Published::Granted { over, finish, .. } => {
                self.outcome.units += i64::from(WANTS) + i64::try_from(over).unwrap();
                self.outcome.finished(finish);
            }
            // It looks, and there is nothing in front.
            Published::Told(waker) => self.publish(waker),
            Published::Skipped(_) => self.outcome.finished(self.cell.finish()),
        }
    }

    fn join(&mut self) {
        let waker = self.waker();
        self.publish(Some(waker));
    }

    fn look_anew(&mut self) {
        if self.is_there {
            let waker = self.waker();
            let Registered { verdict, unused: _, wake_now } = self.cell.register(&waker);
            if wake_now {
                waker.wake_by_ref();
            }
            self.is_awake = !matches!(verdict, Verdict::Waiting(_));
        }
    }

    fn vacate(&mut self, seen: Seen, on_its_way: u32) {
        // The usual way.
        let at_once = if on_its_way == 0 { self.cell.try_vacate(seen) } else { None };
        if let Some((finish, _waker)) = at_once {
            self.outcome.units += i64::from(WANTS - seen.missing());
            self.outcome.finished(finish);
            self.is_there = false;
            return;
        }
        let vacated = self.cell.vacate(seen, on_its_way.min(seen.missing()));
        let had = WANTS - seen.missing();
        self.outcome.units += i64::from(had + vacated.returned + vacated.owed);
        if let Some(finish) = vacated.finish {
            self.outcome.finished(finish);
        }
        self.is_there = false;
    }

    fn leave(&mut self, on_its_way: u32) {
        match self.cell.check() {
            Verdict::Waiting(seen) => self.vacate(seen, on_its_way),
            Verdict::Granted => self.finish(0),
            Verdict::Closed { missing } => self.finish(missing),
        }
    }

    fn finish(&mut self, missing: u32) {
        self.outcome.units += i64::from(WANTS - missing);
        self.outcome.finished(self.cell.finish());
        self.is_there = false;
    }

    fn run(&mut self, owner: Owner) {
        match owner {
            Owner::Join => {
                self.join();
                self.look_anew();
            }
            Owner::JoinAwake => self.publish(None),
            Owner::LookAnew(times) => (0..times).for_each(|_| self.look_anew()),
            Owner::Leave(on_its_way) => self.leave(on_its_way),
            Owner::Gone => {}
        }
    }

    /// Nobody else is there any more.
    fn settle(mut self) -> Outcome {
        if self.is_there {
            let over = !matches!(self.cell.check(), Verdict::Waiting(_));
            let woken = self.alarms.last().is_some_and(|alarm| alarm.has_rung());
            assert!(!over || woken || self.is_awake, "it sleeps for ever");
            self.leave(0);
        }
        for alarm in self.alarms {
            assert_eq!(Arc::strong_count(&alarm), 1, "a waker was kept");
        }
        self.outcome
    }
}

/// All that can be there beside the owner.
fn company(start: Start) -> Vec<[Other; 2]> {
    use self::Other::*;
    let mut all = vec![
        [Deliver(1), Deliver(1)],
        [Deliver(1), Deliver(2)],
        [Deliver(1), Close],
        [Deliver(2), Close],
        [Close, Close],
        [Deliver(1), Mark],
        [Deliver(2), Mark],
        [Close, Mark],
    ];
    if matches!(start, Start::Open(_)) {
        all.extend([
            [Pass(1), Deliver(1)],
            [Pass(1), Pass(1)],
            [Pass(1), Close],
            [Pass(1), Mark],
            [PickUp, Deliver(2)],
            [PickUp, Pass(1)],
            [PickUp, PickUp],
            [PickUp, Close],
            [PickUp, Mark],
            [TakeBack(1), Deliver(1)],
            [TakeBack(1), Pass(1)],
            [TakeBack(1), PickUp],
            [TakeBack(1), TakeBack(1)],
            [TakeBack(1), Close],
            [TakeBack(1), Mark],
            [TakeBack(1), TellToLook],
            [TellToLook, Deliver(1)],
            [TellToLook, Pass(1)],
            [TellToLook, PickUp],
            [TellToLook, Close],
            [TellToLook, Mark],
            [TellToLook, TellToLook],
        ]);
    }
    all
}

fn races(start: Start, owner: Owner) {
    for others in company(start) {
        check(move || {
            let cell = Arc::new(Cell::new(false));
            let mut waiter = Waiter::new(&cell);
            let mut brought = 0;
            match start {
                Start::Open(units) => {
                    assert_eq!(cell.leave_units(units), Some(units));
                    brought += i64::try_from(units).unwrap();
                }
                Start::Parked => waiter.join(),
                Start::Partly => {
                    waiter.join();
                    assert!(matches!(cell.deliver(1), Visited::Short));
                    brought += 1;
                }
                Start::WornOut => {
                    waiter.join();
                    cell.exhaust_versions();
                    waiter.look_anew();
                }
                Start::Awake => waiter.publish(None),
                Start::Return => {
                    waiter.join();
                    waiter.leave(WANTS);
                }
            }
            let threads = others.map(|other| {
                brought += other.brings();
                let cell = cell.clone();
                thread::spawn(move || other.run(&cell))
            });
            waiter.run(owner);
            let mut outcomes = Vec::from(threads.map(|thread| thread.join().unwrap()));
            outcomes.push(waiter.settle());
            outcomes.push(Other::Close.run(&cell));
            let came: i64 = outcomes.iter().map(|outcome| outcome.units).sum();
            assert_eq!(came, brought, "units were lost or invented: {outcomes:?}");
            let marks: i64 = outcomes.iter().map(|outcome| outcome.marks).sum();
            assert_eq!(marks, 0, "the mark was lost: {outcomes:?}");
        });
    }
}

#[test]
fn open_and_its_owner_joins() {
    races(Start::Open(0), Owner::Join);
}

#[test]
fn open_and_its_owner_joins_awake() {
    races(Start::Open(0), Owner::JoinAwake);
}

#[test]
fn open_with_a_part_and_its_owner_joins() {
    races(Start::Open(1), Owner::Join);
}

#[test]
fn open_with_all_and_its_owner_joins() {
    races(Start::Open(2), Owner::Join);
}

#[test]
fn parked_looks_anew() {
    races(Start::Parked, Owner::LookAnew(2));
}

#[test]
fn parked_with_a_part_looks_anew() {
    races(Start::Partly, Owner::LookAnew(2));
}

#[test]
fn awake_looks() {
    races(Start::Awake, Owner::LookAnew(1));
}

#[test]
fn parked_and_worn_out_looks_anew() {
    races(Start::WornOut, Owner::LookAnew(1));
    races(Start::WornOut, Owner::LookAnew(2));
}

#[test]
fn parked_leaves() {
    races(Start::Parked, Owner::Leave(0));
    races(Start::Parked, Owner::Leave(1));
    races(Start::Parked, Owner::Leave(2));
}

#[test]
fn parked_with_a_part_leaves() {
    races(Start::Partly, Owner::Leave(0));
    races(Start::Partly, Owner::Leave(1));
}

#[test]
fn awake_leaves() {
    races(Start::Awake, Owner::Leave(0));
    races(Start::Awake, Owner::Leave(1));
}

#[test]
fn a_return() {
    races(Start::Return, Owner::Gone);
}
