//! What is known of a monitored semaphore at one moment.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

use super::roster::{Phase, Roster, Seen};
use crate::status::Status;

/// Somebody who holds permits, waits for them, or was granted some.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Claim {
    /// Which request of this semaphore: they are counted in the order in which they asked.
    pub id: u64,
    /// The source file of the call that asked.
    pub file: &'static str,
    /// The line of the call.
    pub line: u32,
    /// The column of the call.
    pub column: u32,
    /// What the program calls it.
    pub label: Option<String>,
    /// How many permits it holds, or asked for.
    pub permits: usize,
    /// For how long it has held them, or waited, or not looked.
    pub age: Duration,
}

impl Claim {
    fn new(seen: &Seen, now: Instant) -> Self {
        Self {
            id: seen.id,
            file: seen.site.file(),
            line: seen.site.line(),
            column: seen.site.column(),
            label: seen.label.as_deref().map(ToString::to_string),
            permits: seen.permits,
            age: now.saturating_duration_since(seen.since),
        }
    }

    /// "1 permit", "2 permits".
    fn permits(&self) -> String {
        let plural = if self.permits == 1 { "" } else { "s" };
        format!("{} permit{plural}", self.permits)
    }
}

/// Where the call is, and its label.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.label {
            Some(label) => write!(f, " ({label})"),
            None => Ok(()),
        }
    }
}

/// What may be wrong with a [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum CaseKind {
    /// It was granted its permits, and its future was not polled since: nobody can use them.
    Uncollected,
    /// It holds its permits.
    Holder,
    /// It waits for its permits.
    Waiter,
}

/// Something that has gone on for too long; see [`Watch`](super::Watch). Its `Display` is a sentence for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Case {
    /// The name of the semaphore.
    pub name: Cow<'static, str>,
    /// What goes on.
    pub kind: CaseKind,
    /// Who, and for how long.
    pub claim: Claim,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, claim } = self;
        write!(f, "{name}: ")?;
        sentence(f, *kind, claim)
    }
}

fn sentence(f: &mut fmt::Formatter<'_>, kind: CaseKind, claim: &Claim) -> fmt::Result {
    let (permits, age) = (claim.permits(), claim.age);
    match kind {
        CaseKind::Uncollected => {
            let were = if claim.permits == 1 { "was" } else { "were" };
            write!(f, "{permits} {were} granted {age:.1?} ago to {claim}, ")?;
            f.write_str("and nobody has polled that future since")
        }
        CaseKind::Holder => write!(f, "{claim} has held {permits} for {age:.1?}"),
        CaseKind::Waiter => write!(f, "{claim} has waited for {permits} for {age:.1?}"),
    }
}

/// A monitored semaphore at one moment; made by [`Monitored::report`](super::Monitored::report).
///
/// Its `Display` is a text of some lines: the state, a sentence for each grant that nobody has collected, and a
/// table of holders and waiters, the oldest first. With the feature `serde` it can be serialized.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The name of the semaphore.
    pub name: Cow<'static, str>,
    /// What the semaphore looked like.
    pub status: Status,
    /// Who was granted permits, and has not been polled since.
    pub uncollected: Vec<Claim>,
    /// Who has permits.
    pub holders: Vec<Claim>,
    /// Who waits, in the order in which they asked.
    pub waiters: Vec<Claim>,
}

impl Report {
    pub(super) fn of(roster: &Roster) -> Self {
        let (seen, now) = (roster.seen(), Instant::now());
        let claims = |phase| {
            let of_phase = seen.iter().filter(|seen| seen.phase == phase);
            let mut claims: Vec<_> = of_phase.map(|seen| Claim::new(seen, now)).collect();
            claims.sort_by_key(|claim| core::cmp::Reverse(claim.age));
            claims
        };
        Self {
            name: roster.name().clone(),
            status: roster.semaphore().status(),
            uncollected: claims(Phase::Granted),
            holders: claims(Phase::Holds),
            waiters: claims(Phase::Waits),
        }
    }

    /// All claims that are in it.
    pub(super) fn cases(&self) -> impl Iterator<Item = (CaseKind, &Claim)> {
        [
            (CaseKind::Uncollected, &self.uncollected),
            (CaseKind::Holder, &self.holders),
            (CaseKind::Waiter, &self.waiters),
        ]
        .into_iter()
        .flat_map(|(kind, claims)| claims.iter().map(move |claim| (kind, claim)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Under the name that is in the report.
        writeln!(f, "{}: {}", self.name, Status { name: None, ..self.status })?;
        for claim in &self.uncollected {
            f.write_str("  ")?;
            sentence(f, CaseKind::Uncollected, claim)?;
            writeln!(f)?;
        }
        for (title, claims) in [("held by", &self.holders), ("waited for by", &self.waiters)] {
            if claims.is_empty() {
                continue;
            }
            writeln!(f, "  {:>10}  {:>8}  {title}", "for", "permits")?;
            for claim in claims {
                let age = format!("{:.1?}", claim.age);
                writeln!(f, "  {age:>10}  {:>8}  {claim}", claim.permits)?;
            }
        }
        Ok(())
    }
}
