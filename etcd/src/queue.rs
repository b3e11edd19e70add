//! The line of one semaphore, as this process sees it, and who of this process is in it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::keys::{Keys, PlaceId, SessionId};
use crate::mirror::{Change, Mirror};
use crate::requests::Snapshot;
use crate::status::{self, Status};

/// What the line says to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is granted. Its place was created at this revision.
    Granted(i64),
    /// It is not granted at once, and did not want to wait.
    NoPermits,
    /// The limit fell below what it asks for.
    OverLimit(u32),
    /// The semaphore was removed.
    NotFound,
    /// Its place vanished.
    Lost,
    /// etcd lets this user read the line no more, so nobody here would learn of a grant.
    Refused(Arc<etcd_client::Error>),
}

/// A request of this process.
#[derive(Debug)]
struct Own {
    weight: u32,
    waits: bool,
    /// When etcd created its place, if that is known. Where a later state has no such place, it was deleted.
    created: Option<i64>,
    /// Tells it the answer, once.
    answer: Option<oneshot::Sender<Answer>>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct State {
    mirror: Mirror,
    own: HashMap<PlaceId, Own>,
    /// Why the line is not watched, if etcd does not let this user read it.
    unread: Option<Arc<etcd_client::Error>>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    keys: Keys,
    state: Mutex<State>,
    /// Up to which revision events have been seen.
    revision: watch::Sender<i64>,
}

/// Answers that are owed: sent when nothing is locked, since a waker may run any code.
#[derive(Debug, Default)]
struct Owed {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    lost: Vec<CancellationToken>,
}

impl Owed {
    /// A waker that panics takes nothing from the others; what it said is on the terminal.
    fn settle(self) {
        for (to, answer) in self.answers {
            // Whoever asked may have left.
            let _left = catch_unwind(AssertUnwindSafe(|| to.send(answer)));
        }
        for lost in self.lost {
            let _panic = catch_unwind(AssertUnwindSafe(|| lost.cancel()));
        }
    }
}

impl Own {
    fn answer(&mut self, answer: Answer, owed: &mut Owed) {
        owed.answers.extend(self.answer.take().map(|to| (to, answer)));
    }

    fn lose(&mut self, owed: &mut Owed) {
        self.answer(Answer::Lost, owed);
        owed.lost.push(self.lost.clone());
    }

    /// Its place had been created, and is not in what was seen later.
    fn lose_unless_there(&mut self, id: PlaceId, mirror: &Mirror, owed: &mut Owed) {
        let was_there = self.created.is_some_and(|created| created <= mirror.revision());
        if was_there && mirror.created(id).is_none() {
            self.lose(owed);
        }
    }
}

impl State {
    fn grant(&mut self, granted: &[PlaceId], owed: &mut Owed) {
        for id in granted {
            if let (Some(own), Some(created)) = (self.own.get_mut(id), self.mirror.created(*id)) {
                own.created = Some(created);
                own.answer(Answer::Granted(created), owed);
            }
        }
    }

    /// Refuses what can never be granted under the limit.
    fn refuse(&mut self, owed: &mut Owed) {
        let limit = self.mirror.limit();
        for own in self.own.values_mut() {
            match limit {
                None => own.answer(Answer::NotFound, owed),
                Some(limit) if own.weight > limit => own.answer(Answer::OverLimit(limit), owed),
                Some(_) => {}
            }
        }
    }

    /// A place is known to exist. If it was not granted as it was seen, who does not wait has the answer; and so has who
    /// asked under a limit that was another when the place was made.
    fn seen(&mut self, id: PlaceId, owed: &mut Owed) {
        if let Some(own) = self.own.get_mut(&id) {
            own.created = self.mirror.created(id);
            match self.mirror.limit() {
                None => own.answer(Answer::NotFound, owed),
                Some(limit) if own.weight > limit => own.answer(Answer::OverLimit(limit), owed),
                Some(_) if !own.waits => own.answer(Answer::NoPermits, owed),
                Some(_) => {}
            }
        }
    }
}

impl Queue {
    /// The line of a semaphore, as it was at a revision. Whoever makes it watches from the next one on.
    pub(crate) fn new(keys: Keys, snapshot: Snapshot) -> Self {
        let mut mirror = Mirror::default();
        let revision = watch::Sender::new(snapshot.revision);
        mirror.reset(snapshot.revision, snapshot.limit, snapshot.places);
        let state = State { mirror, own: HashMap::new(), unread: None };
        Self { keys, state: Mutex::new(state), revision }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn revision(&self) -> i64 {
        *self.revision.borrow()
    }

    /// Waits until the events up to a revision have been seen.
    pub(crate) async fn reach(&self, revision: i64) {
        let mut seen = self.revision.subscribe();
        // Its sender is here.
        let _never = seen.wait_for(|&seen| seen >= revision).await;
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        self.state().mirror.limit()
    }

    pub(crate) fn available(&self) -> u32 {
        status::available(&self.state().mirror)
    }

    pub(crate) fn status(&self) -> Status {
        Status::of(&self.state().mirror)
    }

    /// Whether a request can be granted under the limit.
    ///
    /// # Errors
    ///
    /// `ZeroPermits`, `Refused`, `OverLimit`, `NotFound`
    pub(crate) fn admit(&self, weight: u32) -> Result<(), Error> {
        if weight == 0 {
            return Err(Error::ZeroPermits);
        }
        let state = self.state();
        if let Some(error) = &state.unread {
            return Err(Error::Refused(Arc::clone(error)));
        }
        match state.mirror.limit() {
            Some(limit) if weight <= limit => Ok(()),
            Some(limit) => Err(Error::OverLimit { requested: weight, limit }),
            None => Err(self.not_found()),
        }
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::NotFound { name: self.keys.name().to_owned() }
    }

    /// Whether a request could be granted at once, by what is known here.
    pub(crate) fn has_room(&self, weight: u32) -> bool {
        let mirror = &self.state().mirror;
        mirror.demand() + u64::from(weight) <= u64::from(mirror.limit().unwrap_or_default())
    }

    /// Expects a request to appear in the line. The answer comes as soon as there is one.
    pub(crate) fn expect(
        &self,
        id: PlaceId,
        weight: u32,
        waits: bool,
        lost: CancellationToken,
    ) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let mut own = Own { weight, waits, created: None, answer: Some(answer), lost };
        let mut owed = Owed::default();
        let mut state = self.state();
        if let Some(error) = &state.unread {
            own.answer(Answer::Refused(Arc::clone(error)), &mut owed);
        }
        state.own.insert(id, own);
        drop(state);
        owed.settle();
        answered
    }

    /// A request is known to have a place, created at this revision.
    pub(crate) fn joined(&self, id: PlaceId, created: i64) {
        let mut owed = Owed::default();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(own) = state.own.get_mut(&id) {
            own.created = Some(created);
            own.lose_unless_there(id, &state.mirror, &mut owed);
        }
        drop(guard);
        owed.settle();
    }

    /// Nobody needs the place any more. If it is still there, or comes, it is an orphan.
    pub(crate) fn forget(&self, id: PlaceId) {
        self.state().own.remove(&id);
    }

    /// Takes in the changes of a watch; each with its revision. Returns orphans of this session: places that have
    /// appeared, and that nobody here expects.
    pub(crate) fn apply(
        &self,
        changes: impl IntoIterator<Item = (i64, Change)>,
        session: Option<SessionId>,
    ) -> Vec<PlaceId> {
        let mut owed = Owed::default();
        let mut orphans = Vec::new();
        let mut guard = self.state();
        let state = &mut *guard;
        for (revision, change) in changes {
            let granted = state.mirror.apply(revision, change);
            state.grant(&granted, &mut owed);
            match change {
                Change::Limit(_) => state.refuse(&mut owed),
                Change::Join { id, .. } if state.own.contains_key(&id) => {
                    state.seen(id, &mut owed);
                }
                Change::Join { id, .. } => {
                    orphans.extend((Some(id.session) == session).then_some(id))
                }
                Change::Leave(id) => {
                    if let Some(own) = state.own.get_mut(&id) {
                        own.lose(&mut owed);
                    }
                }
            }
        }
        let revision = state.mirror.revision();
        drop(guard);
        owed.settle();
        self.has_seen(revision);
        orphans
    }

    /// Takes over another state, without the changes that led to it: a later one, or if etcd has gone back, an earlier.
    /// Returns orphans, as `apply` does.
    pub(crate) fn reset(&self, snapshot: Snapshot, session: Option<SessionId>) -> Vec<PlaceId> {
        let mut owed = Owed::default();
        let mut guard = self.state();
        let state = &mut *guard;
        state.unread = None;
        if snapshot.revision < state.mirror.revision() {
            // Whoever was in front when a place was granted may be there again.
            let had_places = state.own.values_mut().filter(|own| own.created.is_some());
            had_places.for_each(|own| own.lose(&mut owed));
        }
        let there: Vec<_> = snapshot.places.iter().map(|&(id, ..)| id).collect();
        let granted = state.mirror.reset(snapshot.revision, snapshot.limit, snapshot.places);
        state.grant(&granted, &mut owed);
        for (&id, own) in &mut state.own {
            own.lose_unless_there(id, &state.mirror, &mut owed);
        }
        let (expected, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|id| state.own.contains_key(id));
        expected.into_iter().for_each(|id| state.seen(id, &mut owed));
        state.refuse(&mut owed);
        let revision = state.mirror.revision();
        drop(guard);
        owed.settle();
        self.has_seen(revision);
        others.into_iter().filter(|id| Some(id.session) == session).collect()
    }

    /// The line may not be read: nobody waits in it, until it was read again.
    pub(crate) fn deny(&self, error: &Arc<etcd_client::Error>) {
        let mut owed = Owed::default();
        let mut state = self.state();
        state.unread = Some(Arc::clone(error));
        for own in state.own.values_mut() {
            own.answer(Answer::Refused(Arc::clone(error)), &mut owed);
        }
        drop(state);
        owed.settle();
    }

    /// As `Owed::settle`, for whoever waits for a revision.
    fn has_seen(&self, revision: i64) {
        let _panic = catch_unwind(AssertUnwindSafe(|| self.revision.send_replace(revision)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
