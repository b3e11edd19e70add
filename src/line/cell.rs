//! One place in the line: a state word, and the waker that it guards.
//!
//! ```text
//!          join: PARKED(n - c)          deliver: PARKED(r - d)
//!   OPEN(c) -----------------> PARKED(r) ------------------.      deliver: the last unit
//!    | | |  c units left here   | |  ^                     |----------------------> DONE
//!    | | |  by deliver  re-poll | |  | re-registered       |       (deliverer wakes)
//!    | | |  (waiter)            v |  |                     |
//!    | | '-----------------> AWAKE(r) ---------------------'       close
//!    | |  join, no waker       |  | '-------------------------------------------> VOID(r)
//!    | | join: c >= n          |  '-- leave, nothing on its way -----> GONE    (closer wakes)
//!    | '--------> GONE         |
//!    | deliver, close          '-- leave: SINK(s) -- deliver: s units vanish; close --> GONE
//!    v
//!  SKIPPED                      DONE, VOID, SKIPPED -- finish (owner of the place) ----> GONE
//! ```
//!
//! PARKED goes wherever AWAKE goes. `OPEN(c)` may lose its units again to a closer or deliverer.
//! The states themselves are described in `state.rs`. DONE, VOID and SKIPPED are final for the
//! line, and wait for the owner of the place to see them; GONE is final for all (I2).

#![expect(
    unsafe_code,
    reason = "turns the two words in the slot back into the waker they were"
)]

use core::ptr;
use core::task::{RawWakerVTable, Waker};

use super::state::{LAST_VERSION, State, Word};
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU64, Relaxed, SeqCst, const_fn};

/// Whether a cell that was just finished carried the WATCH mark, which must then be handed on
/// (`Segment::hand_on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Finish {
    Plain,
    Watched,
}

impl From<Word> for Finish {
    fn from(word: Word) -> Self {
        if word.is_watched() {
            Self::Watched
        } else {
            Self::Plain
        }
    }
}

/// What came of [`Cell::publish`].
#[derive(Debug)]
pub(super) enum Published {
    /// The waiter stands in the line.
    Waiting,
    /// Enough units were left here: granted, the cell is gone, and so many units are over.
    Granted { over: u64, finish: Finish },
    /// The line went on without this place.
    Skipped,
}

/// What came of [`Cell::deliver`] and of [`Cell::void`].
#[derive(Debug)]
pub(super) enum Visited {
    /// The cell is satisfied. It took so many units, and who slept here is to be woken.
    Passed {
        took: u32,
        waker: Option<Waker>,
        finish: Finish,
    },
    /// The cell took all units that there were, and misses more.
    Short,
    /// Nobody has published here.
    Open,
}

/// What a waiter finds when it looks at its cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It misses so many units, and waits on.
    Waiting { missing: u32 },
    /// It has all.
    Granted,
    /// The line was closed when it missed so many.
    Closed { missing: u32 },
}

/// What came of [`Cell::vacate`].
#[derive(Debug)]
pub(super) struct Vacated {
    /// Units that came beyond those to be swallowed. Negative: so many were to be swallowed here
    /// that will not come, since the line is closed.
    pub(super) over: i64,
    /// `None`: a sink stays behind, and whoever fills it finishes the cell.
    pub(super) finish: Option<Finish>,
    /// The waiter's waker, to be dropped when nothing is held.
    pub(super) waker: Option<Waker>,
}

/// A waker as two words, which can be read while somebody else writes them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RawParts {
    data: *mut (),
    vtable: *mut RawWakerVTable,
}

impl RawParts {
    fn of(waker: &Waker) -> Self {
        Self {
            data: waker.data().cast_mut(),
            vtable: ptr::from_ref(waker.vtable()).cast_mut(),
        }
    }

    /// # Safety
    ///
    /// - The parts are those of one waker, which was forgotten, and
    /// - nobody else makes a waker of them.
    unsafe fn into_waker(self) -> Waker {
        // SAFETY: the first obligation: the pointer was made from a `&'static RawWakerVTable`.
        let vtable: &'static RawWakerVTable = unsafe { &*self.vtable };
        // SAFETY: both obligations: data and vtable belong together, and are the caller's now.
        unsafe { Waker::new(self.data, vtable) }
    }
}

/// One place in the line.
#[derive(Debug)]
pub(super) struct Cell {
    state: AtomicU64,
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

impl Cell {
    const_fn! {
        /// `OPEN(0)`.
        pub(super) const fn new(watched: bool) -> Self {
            Self {
                state: AtomicU64::new(Word::fresh(watched)),
                data: AtomicPtr::new(ptr::null_mut()),
                vtable: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    pub(super) fn load(&self) -> Word {
        // ORDERING: SeqCst. Acquire pairs with `change`: its maker's writes are seen, among them
        // the waker's words under PARKED. The total order is for pair D1 in the README: "reserve,
        // or shut, then read the cells".
        Word(self.state.load(SeqCst))
    }

    /// Changes the state from the very word seen.
    fn change(&self, from: Word, to: State) -> Result<(), Word> {
        // ORDERING: SeqCst. AcqRel pairs with `load` and every other change: what was done under
        // units that come together here happens before their grant. The total order is for D1:
        // "leave units in an OPEN cell, then read the tail". Failure: SeqCst, as `load`.
        match self
            .state
            .compare_exchange(from.0, from.with(to).0, SeqCst, SeqCst)
        {
            Ok(_) => Ok(()),
            Err(now) => Err(Word(now)),
        }
    }

    /// Changes the state, and takes the waker if there was one, the WATCH mark if the cell ends.
    fn claim(&self, from: Word, to: State) -> Result<(Option<Waker>, Finish), Word> {
        // Read before the change: after it the cell may be finished and freed.
        let parts = self.read_slot();
        self.change(from, to)?;
        // SAFETY: I4: the change was from PARKED, so the parts are those that were published under
        // this very word and forgotten, and only one change leaves it.
        let waker = from.is_parked().then(|| unsafe { parts.into_waker() });
        Ok((
            waker,
            if to == State::Gone {
                from.into()
            } else {
                Finish::Plain
            },
        ))
    }

    fn read_slot(&self) -> RawParts {
        RawParts {
            // ORDERING: Relaxed. Pairs with `fill_slot` by way of the state: what is read after
            // a load of PARKED and before a change of that very word was published with it.
            data: self.data.load(Relaxed),
            // ORDERING: Relaxed, as the line above.
            vtable: self.vtable.load(Relaxed),
        }
    }

    /// Puts a waker where others take it once the state is PARKED.
    ///
    /// Only the waiter does, and only while the state is not PARKED. Who reads the slot meanwhile
    /// cannot complete a change from PARKED: each PARKED of a cell has a version of its own (I4).
    fn fill_slot(&self, parts: RawParts) {
        // ORDERING: Relaxed. Pairs with `read_slot`: the change to PARKED that follows publishes.
        self.data.store(parts.data, Relaxed);
        // ORDERING: Relaxed, as the line above.
        self.vtable.store(parts.vtable, Relaxed);
    }

    /// The owner of the place asks for `units`, with a waker that the cell takes over, or without
    /// one as a waiter that is running.
    ///
    /// Transition: `OPEN(c) -> PARKED(units - c)`, `AWAKE(units - c)` or `GONE` (waiter);
    /// otherwise the cell was SKIPPED meanwhile (deliverer, closer).
    pub(super) fn publish(&self, units: u32, waker: &mut Option<Waker>) -> Published {
        let parked = waker.is_some();
        if let Some(waker) = waker {
            self.fill_slot(RawParts::of(waker));
        }
        let mut word = self.load();
        while let State::Open { units: left } = word.state() {
            let next = match u32::try_from(u64::from(units).saturating_sub(left)) {
                Ok(missing @ 1..) if parked => State::Parked {
                    missing,
                    version: 0,
                },
                Ok(missing @ 1..) => State::Awake {
                    missing,
                    version: 0,
                },
                _ => State::Gone,
            };
            match self.change(word, next) {
                Ok(()) if next == State::Gone => {
                    let over = left - u64::from(units);
                    return Published::Granted {
                        over,
                        finish: word.into(),
                    };
                }
                Ok(()) => {
                    // The slot owns it now.
                    core::mem::forget(waker.take());
                    return Published::Waiting;
                }
                Err(now) => word = now,
            }
        }
        debug_assert_eq!(word.state(), State::Skipped, "somebody else published here");
        Published::Skipped
    }

    /// Hands up to `units` to whoever stands here.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> DONE` (deliverer, whose the waker then is) or the same
    /// with `r - units`; `SINK(s) -> GONE` or `SINK(s - units)`. Otherwise somebody else changed
    /// the cell, and it looks again.
    pub(super) fn deliver(&self, units: u64) -> Visited {
        self.visit(|state| {
            let (State::Parked {
                missing: wanted, ..
            }
            | State::Awake {
                missing: wanted, ..
            }
            | State::Sink { units: wanted }) = state
            else {
                return None;
            };
            let rest = match u32::try_from(units) {
                Ok(units) => wanted.saturating_sub(units),
                Err(_) => 0,
            };
            let next = match state {
                State::Parked { version, .. } if rest > 0 => State::Parked {
                    missing: rest,
                    version,
                },
                State::Awake { version, .. } if rest > 0 => State::Awake {
                    missing: rest,
                    version,
                },
                State::Sink { .. } if rest > 0 => State::Sink { units: rest },
                State::Sink { .. } => State::Gone,
                _ => State::Done,
            };
            Some((wanted - rest, rest, next))
        })
    }

    /// Takes away the claim of whoever stands here: the line is closed.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> VOID(r)` (closer, whose the waker then is);
    /// `SINK(s) -> GONE`, where `took` says how many units are not to be waited for.
    pub(super) fn void(&self) -> Visited {
        self.visit(|state| match state {
            State::Parked { missing, .. } | State::Awake { missing, .. } => {
                Some((0, 0, State::Void { missing }))
            }
            State::Sink { units } => Some((units, 0, State::Gone)),
            _ => None,
        })
    }

    /// Changes an unsatisfied cell as `plan` says: how many units it takes, how many it will miss
    /// then, and what it becomes.
    fn visit(&self, plan: impl Fn(State) -> Option<(u32, u32, State)>) -> Visited {
        let mut word = self.load();
        loop {
            let state = word.state();
            if let State::Open { .. } = state {
                return Visited::Open;
            }
            let Some((took, rest, next)) = plan(state) else {
                return Visited::Passed {
                    took: 0,
                    waker: None,
                    finish: Finish::Plain,
                };
            };
            if next == state {
                // Came with nothing in hand.
                return Visited::Short;
            }
            if rest > 0 {
                match self.change(word, next) {
                    Ok(()) => return Visited::Short,
                    Err(now) => word = now,
                }
            } else {
                match self.claim(word, next) {
                    Ok((waker, finish)) => {
                        return Visited::Passed {
                            took,
                            waker,
                            finish,
                        };
                    }
                    Err(now) => word = now,
                }
            }
        }
    }

    /// Leaves `units` for whoever will publish here; `false` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> OPEN(c + units)` (deliverer).
    pub(super) fn leave_units(&self, units: u64) -> bool {
        self.change_open(|left| State::Open {
            units: left + units,
        })
        .is_some()
    }

    /// Takes the units that were left here, and the place with them if it was given out: its owner
    /// will take another. `None` if the cell is not OPEN any more.
    ///
    /// Transition: `OPEN(c) -> SKIPPED`, or `OPEN(0)` if not given out (deliverer, closer).
    pub(super) fn take_units(&self, given_out: bool) -> Option<u64> {
        self.change_open(|_| {
            if given_out {
                State::Skipped
            } else {
                State::Open { units: 0 }
            }
        })
    }

    /// Whether nobody has published here.
    pub(super) fn is_open(&self) -> bool {
        self.units_left().is_some()
    }

    /// The units that lie here unclaimed; `None` if the cell is not OPEN.
    pub(super) fn units_left(&self) -> Option<u64> {
        match self.load().state() {
            State::Open { units } => Some(units),
            _ => None,
        }
    }

    fn change_open(&self, to: impl Fn(u64) -> State) -> Option<u64> {
        let mut word = self.load();
        while let State::Open { units } = word.state() {
            match self.change(word, to(units)) {
                Ok(()) => return Some(units),
                Err(now) => word = now,
            }
        }
        None
    }

    /// The waiter looks.
    pub(super) fn look(&self) -> Look {
        match self.load().state() {
            State::Parked { missing, .. } | State::Awake { missing, .. } => {
                Look::Waiting { missing }
            }
            State::Done => Look::Granted,
            State::Void { missing } => Look::Closed { missing },
            state => unreachable!("a waiter's cell is {state:?}"),
        }
    }

    /// The waiter looks, and if there is nothing yet, `waker` is whom to wake.
    ///
    /// Transition: `PARKED(r) -> AWAKE(r) -> PARKED(r)` with the next version (waiter), unless the
    /// same waker is there already; otherwise somebody delivered or closed, and it looks again.
    ///
    /// Versions must not repeat. A slot that was refilled 2^28 - 1 times is not refilled again:
    /// the waiter stays AWAKE, and is woken at once to come and look.
    pub(super) fn register(&self, waker: &Waker) -> Look {
        let mut word = self.load();
        let new = match word.state() {
            State::Parked { missing, .. } if self.read_slot() == RawParts::of(waker) => {
                return Look::Waiting { missing };
            }
            // User code, in a consistent state: what it did is seen by the changes below.
            State::Parked { .. } => waker.clone(),
            State::Awake { missing, .. } => {
                waker.wake_by_ref();
                return Look::Waiting { missing };
            }
            _ => return self.look(),
        };
        // From here on `new` and `_old` are dropped, user code again, by returning.
        let _old = loop {
            let State::Parked { missing, version } = word.state() else {
                return self.look();
            };
            match self.claim(word, State::Awake { missing, version }) {
                Ok((old, _)) => break old,
                Err(now) => word = now,
            }
        };
        self.fill_slot(RawParts::of(&new));
        word = self.load();
        loop {
            match word.state() {
                State::Awake {
                    missing,
                    version: LAST_VERSION,
                } => {
                    waker.wake_by_ref();
                    return Look::Waiting { missing };
                }
                State::Awake { missing, version } => {
                    match self.change(
                        word,
                        State::Parked {
                            missing,
                            version: version + 1,
                        },
                    ) {
                        Ok(()) => {
                            // The slot owns it now.
                            core::mem::forget(new);
                            return Look::Waiting { missing };
                        }
                        Err(now) => word = now,
                    }
                }
                _ => return self.look(),
            }
        }
    }

    /// The waiter goes, having found `missing` units missing and taken them off the books, of
    /// which `swallow` come here all the same.
    ///
    /// Transition: `PARKED(r), AWAKE(r) -> SINK(s)` where `s` units are still to come, otherwise
    /// `-> GONE`; `DONE, VOID(r) -> GONE` (waiter).
    pub(super) fn vacate(&self, missing: u32, swallow: u32) -> Vacated {
        let mut word = self.load();
        loop {
            let (still_missing, waiting) = match word.state() {
                State::Parked { missing, .. } | State::Awake { missing, .. } => (missing, true),
                State::Done => (0, false),
                State::Void { missing } => (missing, false),
                state => unreachable!("a waiter's cell is {state:?}"),
            };
            let arrived = missing - still_missing;
            let next = match swallow.saturating_sub(arrived) {
                units @ 1.. if waiting => State::Sink { units },
                _ => State::Gone,
            };
            match self.claim(word, next) {
                Ok((waker, finish)) if next == State::Gone => {
                    let over = i64::from(arrived) - i64::from(swallow);
                    return Vacated {
                        over,
                        finish: Some(finish),
                        waker,
                    };
                }
                Ok((waker, _)) => {
                    return Vacated {
                        over: 0,
                        finish: None,
                        waker,
                    };
                }
                Err(now) => word = now,
            }
        }
    }

    /// The owner of the place has seen its end, and comes back no more.
    ///
    /// Transition: `DONE, VOID(r), SKIPPED -> GONE` (owner). It cannot fail: these states are
    /// final for everybody else, but for the WATCH mark, which it takes along.
    pub(super) fn finish(&self) -> Finish {
        let gone = Word(0).with(State::Gone);
        // ORDERING: AcqRel. Release pairs with `watch`: who finds the cell gone comes after its
        // owner's last look. Acquire pairs with the same: who takes the mark along has seen all
        // that its carriers saw, and may be the one to free the segment.
        Word(self.state.swap(gone.0, AcqRel)).into()
    }

    /// Puts the WATCH mark on this cell; `false` if it is gone.
    ///
    /// Transition: any but `GONE` to the same, watched (carrier of the mark).
    pub(super) fn watch(&self) -> bool {
        // ORDERING: Acquire. Pairs with `finish` and `change`: a cell found gone is done with.
        let mut word = Word(self.state.load(Acquire));
        while word.state() != State::Gone {
            // ORDERING: AcqRel. Pairs with `finish` and `change`: whoever finishes this cell takes
            // the mark over, with all that its carriers saw. Failure: Acquire, as the load above.
            match self
                .state
                .compare_exchange(word.0, word.watched().0, AcqRel, Acquire)
            {
                Ok(_) => return true,
                Err(now) => word = Word(now),
            }
        }
        false
    }

    /// Takes the waker that a forgotten future left here; the line is being dropped.
    pub(super) fn clear(&mut self) -> Option<Waker> {
        let word = self.load();
        self.claim(word, word.state()).ok()?.0
    }

    /// The models' way to free: every later use of this cell panics.
    #[cfg(all(test, semafair_loom))]
    pub(super) fn poison(&self) {
        // ORDERING: SeqCst. Pairs with `load`, where a model uses what was freed.
        self.state.store(super::state::POISON, SeqCst);
    }
}
