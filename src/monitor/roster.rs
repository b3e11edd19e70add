//! Who holds permits, who waits for them, and who has been given some and has not looked.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::mem;
use core::panic::Location;
use core::task::Waker;
use core::time::Duration;
#[cfg(feature = "metrics")]
use std::panic::AssertUnwindSafe;
#[cfg(feature = "metrics")]
use std::sync::OnceLock;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[cfg(feature = "metrics")]
use super::ends::Counters;
use super::ends::End;
use super::trace::{Op, OpRef, Resource, Returned};
#[cfg(feature = "metrics")]
use crate::panic::catch;
use crate::semaphore::Semaphore;
use crate::wakes::waking;

/// Locks what no user code runs under, so that nothing is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for its permits.
    Waits,
    /// It was granted them, and was not polled since.
    Granted,
    /// It was refused, and was not polled since.
    Refused,
    /// It has them.
    Holds,
    /// It has returned an error.
    Over,
}

/// What changes in an [`Entry`].
#[derive(Debug)]
struct Progress {
    label: Option<Cow<'static, str>>,
    permits: usize,
    phase: Phase,
    /// When it came into that phase.
    since: Instant,
    /// Whom to wake, while it waits.
    waker: Option<Waker>,
}

/// A request, from its first poll until its permits are back.
///
/// It is the waker that the semaphore gets. So it learns of a grant at the moment of the grant, and
/// not at the poll that follows.
#[derive(Debug)]
pub(super) struct Entry {
    semaphore: Arc<Semaphore>,
    site: &'static Location<'static>,
    asked: Instant,
    /// Weak: the future ends it.
    op: OpRef,
    progress: Mutex<Progress>,
}

/// What an [`Entry`] is at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: u64,
    pub(super) site: &'static Location<'static>,
    pub(super) label: Option<Cow<'static, str>>,
    pub(super) permits: usize,
    pub(super) phase: Phase,
    pub(super) since: Instant,
}

impl Entry {
    fn seen(&self, id: u64) -> Seen {
        let progress = lock(&self.progress);
        let Progress { permits, phase, since, .. } = *progress;
        Seen { id, site: self.site, label: progress.label.clone(), permits, phase, since }
    }

    pub(super) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    pub(super) fn set_label(&self, label: Option<Cow<'static, str>>) {
        lock(&self.progress).label = label;
    }

    pub(super) fn label(&self) -> Option<Cow<'static, str>> {
        lock(&self.progress).label.clone()
    }

    pub(super) fn set_permits(&self, permits: usize) {
        lock(&self.progress).permits = permits;
    }

    /// How many permits it was granted.
    pub(super) fn obtained(&self) -> usize {
        let progress = lock(&self.progress);
        match progress.phase {
            Phase::Waits | Phase::Refused | Phase::Over => 0,
            Phase::Granted | Phase::Holds => progress.permits,
        }
    }

    /// Before a poll: `waker` is to be woken when it is granted or refused.
    pub(super) fn is_polled(&self, waker: &Waker) {
        // User code, as is the drop of the old one: neither runs under the lock.
        let waker = waker.clone();
        let _old = {
            let mut progress = lock(&self.progress);
            if progress.phase != Phase::Waits {
                // It was woken. If that was for nothing, it waits on, and is woken again.
                progress.phase = Phase::Waits;
                progress.since = Instant::now();
            }
            progress.waker.replace(waker)
        };
    }

    /// What it was answered, if it was woken. A wake does not say whether it is one of a grant, and the place that knows is the
    /// future's. So a grant looks like a refusal if the semaphore was closed in between.
    fn answer(&self) -> Phase {
        if self.semaphore.is_closed() { Phase::Refused } else { Phase::Granted }
    }

    /// After a poll that returned `Pending`: it may have been woken for another reason than a grant, as when its task
    /// has to yield. `phase` is called under the lock: the wake of a grant that it does not see comes after it.
    pub(super) fn is_pending(&self, phase: impl FnOnce() -> Phase) {
        let mut progress = lock(&self.progress);
        let phase = phase();
        if progress.phase != phase {
            progress.phase = phase;
            progress.since = Instant::now();
        }
    }

    /// It was granted so many permits, or refused, and nobody has seen that yet.
    pub(super) fn answered(&self, permits: Option<usize>) {
        if let Some(permits) = permits {
            self.set_permits(permits);
        }
        drop(self.enter(if permits.is_some() { Phase::Granted } else { Phase::Refused }));
    }

    /// It comes into another phase now. Returns the waker that it does not need there, as its drop is user code.
    pub(super) fn enter(&self, phase: Phase) -> Option<Waker> {
        let mut progress = lock(&self.progress);
        progress.phase = phase;
        progress.since = Instant::now();
        progress.waker.take()
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let answer = self.answer();
        let waker = {
            let mut progress = lock(&self.progress);
            if progress.phase == Phase::Waits {
                progress.phase = answer;
                progress.since = Instant::now();
            }
            mem::take(&mut progress.waker)
        };
        waking(|user_code| {
            if let Some(waker) = waker {
                user_code.run(|| waker.wake());
            }
            user_code.run(|| self.op.show(|| self.obtained()));
        });
    }
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// In the order in which they asked.
    by_id: BTreeMap<u64, Arc<Entry>>,
}

/// A semaphore, and all its requests.
pub(super) struct Roster {
    name: Cow<'static, str>,
    semaphore: Arc<Semaphore>,
    resource: Resource,
    entries: Mutex<Entries>,
    /// Where it is counted how requests end, if that was asked for. What a panic leaves behind in a recorder is its own.
    #[cfg(feature = "metrics")]
    counters: OnceLock<AssertUnwindSafe<Counters>>,
}

impl Roster {
    pub(super) fn new(
        name: Cow<'static, str>,
        semaphore: Arc<Semaphore>,
        site: &'static Location<'static>,
    ) -> Self {
        Self {
            resource: Resource::new(&name, &semaphore, site),
            name,
            semaphore,
            entries: Mutex::default(),
            #[cfg(feature = "metrics")]
            counters: OnceLock::new(),
        }
    }

    pub(super) fn name(&self) -> &Cow<'static, str> {
        &self.name
    }

    pub(super) fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    pub(super) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Enters a request that the caller is about to make, or a holder.
    pub(super) fn add(
        self: &Arc<Self>,
        site: &'static Location<'static>,
        label: Option<Cow<'static, str>>,
        permits: usize,
        phase: Phase,
        op: &Op,
    ) -> Registered {
        let asked = Instant::now();
        let progress = Mutex::new(Progress { label, permits, phase, since: asked, waker: None });
        let semaphore = self.semaphore.clone();
        let entry = Arc::new(Entry { semaphore, site, asked, op: op.downgrade(), progress });
        let mut entries = lock(&self.entries);
        let id = entries.next;
        entries.next += 1;
        entries.by_id.insert(id, entry.clone());
        Registered { roster: self.clone(), id, entry }
    }

    /// Counts from now on how requests end.
    #[cfg(feature = "metrics")]
    pub(super) fn count_ends(&self, name: &metrics::SharedString) {
        if self.counters.get().is_none() {
            // The recorder is user code, which may come here as well. The first that is complete counts.
            let _unused = self.counters.set(AssertUnwindSafe(Counters::new(name)));
        }
    }

    /// Counts the end of a request, which may have `waited`.
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nobody counts"))]
    pub(super) fn ends(&self, end: End, waited: Option<Duration>) {
        #[cfg(feature = "metrics")]
        if let Some(counters) = self.counters.get() {
            // The recorder is user code. This may run while another panic unwinds.
            if let Err(panic) = catch(|| counters.count(end, waited)) {
                panic.pass_on();
            }
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (end, waited);
    }

    /// All of them, those first that asked first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let entries: Vec<_> =
            lock(&self.entries).by_id.iter().map(|(id, entry)| (*id, entry.clone())).collect();
        entries.iter().map(|(id, entry)| entry.seen(*id)).collect()
    }
}

/// An entry that stands in the roster until this is dropped.
pub(super) struct Registered {
    roster: Arc<Roster>,
    id: u64,
    entry: Arc<Entry>,
}

impl Registered {
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The request returns.
    pub(super) fn ends(&self, end: End) {
        // First: if the recorder panics, what is dropped then does not count as cancelled, too. The waker is dropped after it.
        let _unused =
            self.entry.enter(if end == End::Granted { Phase::Holds } else { Phase::Over });
        self.roster.ends(end, Some(self.entry.asked.elapsed()));
    }

    /// What shows that its permits have come back, when it is dropped.
    pub(super) fn returned(&self) -> Returned {
        self.roster.resource.returned()
    }

    /// Another entry of the same semaphore, for a part of the permits, which are held as long as the others.
    pub(super) fn split(&self, permits: usize) -> Self {
        let (site, label) = (self.entry.site, self.entry.label());
        let part = self.roster.add(site, label, permits, Phase::Holds, &Op::none());
        let since = lock(&self.entry.progress).since;
        lock(&part.entry.progress).since = since;
        part
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // It may have the last hold of a waker: dropped without the lock.
        let _entry = lock(&self.roster.entries).by_id.remove(&self.id);
        let phase = lock(&self.entry.progress).phase;
        if !matches!(phase, Phase::Holds | Phase::Over) {
            self.roster.ends(End::Cancelled, Some(self.entry.asked.elapsed()));
        }
    }
}
