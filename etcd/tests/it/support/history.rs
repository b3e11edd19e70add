//! The judge: what etcd has seen, in the order of its revisions, and what must be so in it.
//!
//! Whoever is granted writes a key that says so, `log/FENCE/got`, and another, `log/FENCE/done`, before it releases. So
//! etcd orders what clients believe among all requests and releases, and no clock of a client is asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use etcd_client::{EventType, WatchOptions};

use super::cluster::Cluster;

/// One event, by what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Limit(u64),
    /// A request took a place: its key, and the revision at which etcd created that.
    Join {
        key: String,
        created: i64,
        weight: u64,
    },
    Leave {
        key: String,
    },
    /// The request with this creation revision believes that it is granted.
    Got(i64),
    /// It will release its permits.
    Done(i64),
}

/// All events of all keys, with their revisions.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: Vec<(i64, What)>,
    /// Up to which revision it is complete.
    revision: i64,
}

/// What a history is like in which all is well.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many requests had a place.
    pub(crate) joined: usize,
    /// How many said that they were granted.
    pub(crate) granted: usize,
    /// How many said so after etcd had deleted their key: lost leases.
    pub(crate) late: usize,
    /// The most permits that were out at a time.
    pub(crate) most: u64,
    /// How many requests arrived once more after their key had been deleted.
    pub(crate) orphans: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { joined, granted, late, most, orphans } = self;
        write!(f, "{joined} places, {granted} grants, {late} seen late, ")?;
        write!(f, "at most {most} permits out, {orphans} orphans")
    }
}

impl History {
    /// Reads what has happened since the last time, from a node that runs. To be called before a compaction too.
    pub(crate) async fn read(&mut self, cluster: &Cluster, node: usize) {
        let mut client = cluster.client(node).await;
        let now = client.get("now", None).await.expect("the node serves");
        let now = now.header().expect("answers have one").revision();
        if now <= self.revision {
            return;
        }
        let from = WatchOptions::new().with_all_keys().with_start_revision(self.revision + 1);
        let mut stream = client.watch("", Some(from)).await.expect("the node serves");
        while self.revision < now {
            let message = stream.message().await.expect("it serves").expect("it does not end");
            assert!(!message.canceled(), "events are missing: {}", message.cancel_reason());
            for event in message.events() {
                let pair = event.kv().expect("events have keys");
                let is_put = event.event_type() == EventType::Put;
                let value = pair.value_str().unwrap_or_default();
                let revision = pair.mod_revision();
                self.revision = revision;
                let key = pair.key_str().expect("they are text");
                self.events.extend(
                    what(key, value, pair.create_revision(), is_put).map(|what| (revision, what)),
                );
            }
            // What is only known to the header are events of none of the keys.
            if message.events().is_empty() && !message.created() {
                break;
            }
        }
    }

    /// Judges it, and prints what it is like.
    #[track_caller]
    pub(crate) fn judge(&self) -> Report {
        match judge(&self.events) {
            Ok(report) => {
                println!("{report}");
                report
            }
            Err(violations) => panic!("{}", violations.join("\n")),
        }
    }
}

fn what(key: &str, value: &str, created: i64, is_put: bool) -> Option<What> {
    let number = |text: &str| text.parse().ok();
    if let Some(entry) = key.strip_prefix("log/") {
        let (fence, what) = entry.split_once('/')?;
        return match what {
            "got" if is_put => number(fence).map(What::Got),
            "done" if is_put => number(fence).map(What::Done),
            _ => None,
        };
    }
    let key = key.strip_prefix("semafair/api/")?.to_owned();
    match (key.as_str(), is_put) {
        ("limit", true) => Some(What::Limit(value.parse().ok()?)),
        (_, true) => Some(What::Join { key, created, weight: value.parse().ok()? }),
        ("limit", false) => Some(What::Limit(0)),
        (_, false) => Some(What::Leave { key }),
    }
}

/// What the judge knows while it reads.
#[derive(Default)]
struct Judge {
    limit: u64,
    /// The highest limit so far: what was granted under it may still be out.
    highest: u64,
    /// By creation revision: who waits or holds.
    line: BTreeMap<i64, (String, u64)>,
    /// By key: since when.
    created: HashMap<String, i64>,
    /// Everyone up to this one has had its turn.
    turn: i64,
    /// Who had a place, at any time, and knows of it.
    known: HashSet<i64>,
    /// Who says that it holds permits.
    holding: BTreeMap<i64, u64>,
    report: Report,
    violations: Vec<String>,
}

impl Judge {
    /// Gives everybody its turn who fits together with all in front.
    fn advance(&mut self) {
        let mut sum = 0;
        for (&created, &(_, weight)) in &self.line {
            sum += weight;
            if created > self.turn {
                if sum > self.limit {
                    break;
                }
                self.turn = created;
            }
        }
    }

    fn got(&mut self, revision: i64, fence: i64) {
        if !self.known.contains(&fence) {
            self.violations
                .push(format!("at {revision}: {fence} was granted and never had a place"));
        }
        let Some(&(_, weight)) = self.line.get(&fence) else {
            self.report.late += 1;
            return;
        };
        if fence > self.turn {
            let front: Vec<_> = self.line.range(..=fence).map(|(at, (_, n))| (at, n)).collect();
            let limit = self.limit;
            self.violations.push(format!(
                "at {revision}: {fence} overtook, or {limit} are too few: {front:?}"
            ));
        }
        self.report.granted += 1;
        let before: u64 = self.holding.values().sum();
        self.holding.insert(fence, weight);
        let out = before + weight;
        self.report.most = self.report.most.max(out);
        if out > self.highest {
            let (limit, holding) = (self.highest, &self.holding);
            self.violations
                .push(format!("at {revision}: {out} permits out, of {limit}: {holding:?}"));
        }
    }

    fn take(&mut self, revision: i64, what: &What) {
        match what {
            What::Limit(limit) => {
                self.limit = *limit;
                self.highest = self.highest.max(*limit);
            }
            What::Join { key, created, weight } => {
                let before = self.created.insert(key.clone(), *created);
                match before.and_then(|before| self.line.get(&before).map(|place| (before, place)))
                {
                    None => {}
                    // A repeated request leaves the place as it is.
                    Some((before, (_, was))) if (before, *was) == (*created, *weight) => return,
                    Some(_) => {
                        self.violations.push(format!("at {revision}: {key} became another place"));
                    }
                }
                self.line.insert(*created, (key.clone(), *weight));
                // A request that was given up for lost, and repeated by another node, arrives when the key is gone.
                // Its process has to delete it; that it was granted, nobody knows.
                if before.is_some() {
                    self.report.orphans += 1;
                } else {
                    self.known.insert(*created);
                    self.report.joined += 1;
                }
            }
            What::Leave { key } => {
                if let Some(created) = self.created.get(key) {
                    self.line.remove(created);
                    self.holding.remove(created);
                }
            }
            What::Got(fence) => self.got(revision, *fence),
            What::Done(fence) => drop(self.holding.remove(fence)),
        }
    }
}

fn judge(events: &[(i64, What)]) -> Result<Report, Vec<String>> {
    let mut judge = Judge::default();
    for of_revision in events.chunk_by(|a, b| a.0 == b.0) {
        for (revision, what) in of_revision {
            judge.take(*revision, what);
        }
        judge.advance();
    }
    let left: Vec<_> = judge.line.values().map(|(key, _)| key).collect();
    if !left.is_empty() {
        judge.violations.push(format!("keys were left behind: {left:?}"));
    }
    if judge.violations.is_empty() { Ok(judge.report) } else { Err(judge.violations) }
}

/// The judge is judged: it finds what it is made for.
mod rules {
    use super::*;

    fn join(created: i64, weight: u64) -> (i64, What) {
        (created, What::Join { key: format!("line/a/{created}"), created, weight })
    }

    fn leave(revision: i64, created: i64) -> (i64, What) {
        (revision, What::Leave { key: format!("line/a/{created}") })
    }

    fn limit(revision: i64, limit: u64) -> (i64, What) {
        (revision, What::Limit(limit))
    }

    fn got(revision: i64, fence: i64) -> (i64, What) {
        (revision, What::Got(fence))
    }

    fn done(revision: i64, fence: i64) -> (i64, What) {
        (revision, What::Done(fence))
    }

    #[track_caller]
    fn finds(word: &str, events: &[(i64, What)]) {
        let violations = judge(events).expect_err(word);
        assert!(violations.iter().any(|found| found.contains(word)), "{word}: {violations:?}");
    }

    #[test]
    fn a_good_history_is_good() {
        let events = [
            limit(1, 2),
            join(2, 1),
            join(3, 2),
            join(4, 1),
            got(5, 2),
            done(6, 2),
            leave(7, 2),
            got(8, 3),
            // Granted, and never noticed: its process died.
            leave(9, 3),
            got(10, 4),
            leave(11, 4),
        ];
        let report = Report { joined: 3, granted: 3, late: 0, most: 2, orphans: 0 };
        assert_eq!(judge(&events), Ok(report));
    }

    #[test]
    fn what_was_granted_stays_so_when_the_limit_falls() {
        let fine = [limit(1, 2), join(2, 2), limit(3, 1), got(4, 2), join(5, 1), leave(6, 2)];
        let end = [got(7, 5), leave(8, 5)];
        assert!(judge(&[&fine[..], &end].concat()).is_ok());
        finds("overtook", &[&fine[..5], &end].concat());
    }

    #[test]
    fn too_many_are_found() {
        let two = [limit(1, 1), join(2, 1), join(3, 1), got(4, 2)];
        finds("2 permits out", &[&two[..], &[got(5, 3)]].concat());
        finds("overtook", &[&two[..], &[got(5, 3)]].concat());
        // The first is gone for etcd, and the second had its turn; but not before.
        let in_time = [leave(5, 2), got(6, 3), leave(7, 3)];
        assert!(judge(&[&two[..], &in_time].concat()).is_ok());
        let early = [got(5, 3), leave(6, 2), leave(7, 3)];
        finds("overtook", &[&two[..], &early].concat());
    }

    #[test]
    fn weights_count() {
        let heavy = [limit(1, 3), join(2, 2), join(3, 2), got(4, 2), got(5, 3)];
        finds("4 permits out", &heavy);
        finds("overtook", &heavy);
        // A light one passes a heavy one that waits.
        finds("overtook", &[limit(1, 3), join(2, 2), join(3, 2), join(4, 1), got(5, 4)]);
    }

    #[test]
    fn what_never_had_a_place_is_found() {
        finds("never had a place", &[limit(1, 3), got(2, 17)]);
    }

    #[test]
    fn a_place_that_becomes_another_is_found() {
        let again = |weight| What::Join { key: "line/a/2".to_owned(), created: 2, weight };
        finds("became another", &[limit(1, 3), join(2, 1), (3, again(2)), leave(4, 2)]);
        let report = judge(&[limit(1, 3), join(2, 1), (3, again(1)), leave(4, 2)]).unwrap();
        assert_eq!((report.joined, report.orphans), (1, 0));
    }

    #[test]
    fn an_orphan_is_in_the_line_and_never_granted() {
        let again = What::Join { key: "line/a/2".to_owned(), created: 4, weight: 1 };
        let start = [limit(1, 1), join(2, 1), leave(3, 2), (4, again), join(5, 1)];
        let end = [leave(6, 2), got(7, 5), leave(8, 5)];
        let report = judge(&[&start[..], &end].concat()).unwrap();
        assert_eq!((report.joined, report.orphans), (2, 1));
        finds("overtook", &[&start[..], &[got(6, 5)]].concat());
        finds("never had a place", &[&start[..], &[got(6, 4)], &end].concat());
        finds("left behind", &start);
    }

    #[test]
    fn keys_left_behind_are_found() {
        finds("left behind", &[limit(1, 3), join(2, 1), got(3, 2), done(4, 2)]);
    }

    #[test]
    fn a_lost_lease_is_counted() {
        let report = judge(&[limit(1, 1), join(2, 1), leave(3, 2), got(4, 2)]).unwrap();
        assert_eq!((report.late, report.granted), (1, 0));
    }
}
