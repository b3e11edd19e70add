//! The mirror against the rule, in random histories. No etcd, no time.

use proptest::prelude::*;

use super::*;
use crate::keys::SessionId;

fn id(number: u64) -> PlaceId {
    PlaceId { session: SessionId(i64::try_from(number % 3).unwrap()), number }
}

/// What may happen next, in a line of any state.
#[derive(Clone, Debug)]
enum Step {
    Limit(Option<u32>),
    Join(u32),
    /// The place that is this far from the first, counted around.
    Leave(usize),
    /// A key is written once more, with another weight.
    Rewrite(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..6u32).prop_map(|limit| Step::Limit(Some(limit))),
        1 => Just(Step::Limit(None)),
        10 => (1..4u32).prop_map(Step::Join),
        9 => (0..8usize).prop_map(Step::Leave),
        1 => (0..8usize, 1..4u32).prop_map(|(at, weight)| Step::Rewrite(at, weight)),
    ]
}

/// The rule, in its simplest form: who is granted is so once and for all; the next is whoever is first of the rest.
#[derive(Default)]
struct Rule {
    limit: u32,
    line: Vec<(PlaceId, i64, u32, bool)>,
}

impl Rule {
    fn granted(&self) -> u64 {
        self.line.iter().filter(|place| place.3).map(|place| u64::from(place.2)).sum()
    }

    fn grant(&mut self) -> Vec<PlaceId> {
        let mut all = Vec::new();
        while let Some(next) = self.line.iter().position(|place| !place.3) {
            if self.granted() + u64::from(self.line[next].2) > u64::from(self.limit) {
                break;
            }
            self.line[next].3 = true;
            all.push(self.line[next].0);
        }
        all
    }

    fn snapshot(&self) -> impl Iterator<Item = (PlaceId, i64, u32)> {
        self.line.iter().map(|&(id, created, weight, _)| (id, created, weight))
    }

    /// Does a step at a revision, and says how a watch shows it.
    fn step(&mut self, revision: i64, step: &Step) -> Option<Change> {
        let at = |at: usize| (!self.line.is_empty()).then(|| at % self.line.len());
        match *step {
            Step::Limit(limit) => {
                self.limit = limit.unwrap_or_default();
                Some(Change::Limit(limit))
            }
            Step::Join(weight) => {
                let id = id(u64::try_from(revision).unwrap());
                self.line.push((id, revision, weight, false));
                Some(Change::Join { id, created: revision, weight })
            }
            Step::Leave(number) => Some(Change::Leave(self.line.remove(at(number)?).0)),
            Step::Rewrite(number, weight) => {
                let place = at(number)?;
                let place = &mut self.line[place];
                place.2 = weight;
                Some(Change::Join { id: place.0, created: place.1, weight })
            }
        }
    }
}

fn agree(mirror: &Mirror, rule: &Rule) {
    let entries: Vec<_> =
        mirror.entries().map(|e| (e.id, e.created, e.weight, e.is_granted)).collect();
    assert_eq!(entries, rule.line);
    assert_eq!(mirror.granted(), rule.granted());
    assert_eq!(mirror.demand(), rule.snapshot().map(|place| u64::from(place.2)).sum::<u64>());
}

proptest! {
    #[test]
    fn it_does_what_the_rule_says(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut mirror, mut rule) = (Mirror::default(), Rule::default());
        for (revision, step) in (1..).zip(&steps) {
            if let Some(change) = rule.step(revision, step) {
                prop_assert_eq!(mirror.apply(revision, change), rule.grant());
                agree(&mirror, &rule);
            }
        }
    }

    /// A mirror that misses changes, and reads the whole line instead, grants nobody whom the rule does not; and while
    /// the limit does not fall, it grants all the same.
    #[test]
    fn what_it_missed_makes_it_late_at_most(
        steps in proptest::collection::vec((step(), any::<bool>(), 0..8u32), 1..120),
        falls in any::<bool>(),
    ) {
        let (mut mirror, mut rule) = (Mirror::default(), Rule::default());
        let (mut granted, mut by_rule) = (Vec::new(), Vec::new());
        let mut gap = false;
        for (revision, (step, sees, resets)) in (1..).zip(&steps) {
            let step = match step {
                Step::Limit(_) | Step::Rewrite(..) if !falls => Step::Limit(Some(3)),
                step => step.clone(),
            };
            let change = rule.step(revision, &step);
            by_rule.extend(rule.grant());
            // From the first change that it misses until it reads the whole, it sees nothing.
            gap |= !sees && *resets > 0;
            if gap && *resets == 0 {
                granted.extend(mirror.reset(revision, Some(rule.limit), rule.snapshot()));
                gap = false;
            } else if !gap {
                granted.extend(change.map(|change| mirror.apply(revision, change)).unwrap_or_default());
            }
            for id in &granted {
                prop_assert!(by_rule.contains(id), "{id:?} was granted by nobody else");
            }
            if !falls {
                prop_assert!(mirror.granted() <= 3);
                if !gap {
                    agree(&mirror, &rule);
                }
            }
        }
        let mut once = granted.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), granted.len());
    }
}

#[test]
fn the_order_is_that_of_creation_and_not_of_arrival() {
    let mut mirror = Mirror::default();
    mirror.apply(1, Change::Limit(Some(1)));
    let places = [(id(7), 7, 1), (id(5), 5, 1), (id(6), 6, 1)];
    assert_eq!(mirror.reset(8, Some(1), places), [id(5)]);
    assert_eq!(mirror.apply(9, Change::Leave(id(5))), [id(6)]);
}

#[test]
fn what_it_has_seen_it_does_not_see_again() {
    let mut mirror = Mirror::default();
    mirror.reset(5, Some(1), [(id(3), 3, 1)]);
    assert_eq!(mirror.apply(4, Change::Leave(id(3))), []);
    assert_eq!((mirror.revision(), mirror.created(id(3))), (5, Some(3)));
}

#[test]
fn sums_do_not_overflow() {
    let mut mirror = Mirror::default();
    mirror.apply(1, Change::Limit(Some(u32::MAX)));
    for revision in 2..6 {
        let id = id(u64::try_from(revision).unwrap());
        let granted =
            mirror.apply(revision, Change::Join { id, created: revision, weight: u32::MAX });
        assert_eq!(granted.len(), usize::from(revision == 2));
    }
    assert_eq!(mirror.demand(), 4 * u64::from(u32::MAX));
}
