//! A request of this process: from before it has a place in the line, to when that is deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::client::{Failure, Pauses};
use crate::error::Error;
use crate::keys::PlaceId;
use crate::lease::Lease;
use crate::queue::{Answer, Queue};
use crate::requests;
use crate::shared::{Follow, Shared};

/// Dropping it gives up the place, whether it was granted, waits, or is still on its way to etcd.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    lease: Arc<Lease>,
    id: PlaceId,
    weight: u32,
    /// Its creation revision; zero until it is known.
    created: i64,
    /// Whether there may be a key to delete.
    may_exist: bool,
    /// Whether a request for the place was sent whose answer has not come: it may arrive at any time.
    is_unanswered: bool,
    /// Cancelled when the key vanishes. When the lease does, `lease` knows.
    lost: CancellationToken,
}

impl Place {
    /// Goes to the end of the line, and waits until it is granted; or only until it is known not to be.
    ///
    /// # Errors
    ///
    /// `ZeroPermits`, `OverLimit`, `NotFound`, `NoPermits`, `Lost`, `Closed`, `Refused`
    pub(crate) async fn take(
        shared: &Arc<Shared>,
        queue: &Arc<Queue>,
        weight: u32,
        waits: bool,
    ) -> Result<Self, Error> {
        loop {
            queue.admit(weight)?;
            let lease = shared.live_lease().await?;
            let mut place = Self {
                shared: Arc::clone(shared),
                queue: Arc::clone(queue),
                lease: Arc::clone(&lease),
                id: shared.next_place(&lease),
                weight,
                created: 0,
                may_exist: false,
                is_unanswered: false,
                lost: CancellationToken::new(),
            };
            let answer = queue.expect(place.id, weight, waits, place.lost.clone());
            let result = tokio::select! {
                biased;
                () = lease.ended() => Err(shared.loss()),
                result = place.join_and_wait(answer) => result,
            };
            match result {
                // The lease was lost before there was a place to lose.
                Err(Error::Lost) if place.created == 0 && !place.is_unanswered => {}
                // Its own place must not be in the way of what this task tries next.
                Err(Error::NoPermits) => {
                    let _unconfirmed = place.give_up().await;
                    return Err(Error::NoPermits);
                }
                Err(error) => return Err(error),
                Ok(()) if place.is_lost() => return Err(shared.loss()),
                Ok(()) => return Ok(place),
            }
        }
    }

    async fn join_and_wait(&mut self, answer: oneshot::Receiver<Answer>) -> Result<(), Error> {
        self.created = self.join().await?;
        self.queue.joined(self.id, self.created);
        match answer.await {
            Ok(Answer::Granted(created)) => {
                self.created = created;
                Ok(())
            }
            Ok(Answer::NoPermits) => Err(Error::NoPermits),
            Ok(Answer::OverLimit(limit)) => Err(self.over(limit)),
            Ok(Answer::NotFound) => Err(self.queue.not_found()),
            Ok(Answer::Refused(error)) => Err(Error::Refused(error)),
            Ok(Answer::Lost) | Err(_) => Err(self.shared.loss()),
        }
    }

    /// Asks for the place until there is an answer, and returns its creation revision. A request that is repeated
    /// finds the place that the one before it made.
    async fn join(&mut self) -> Result<i64, Error> {
        let mut pauses = Pauses::new();
        let mut was_unanswered = false;
        loop {
            let turn = self.shared.asking.next().await;
            (self.may_exist, self.is_unanswered) = (true, true);
            let (keys, id, weight) = (self.queue.keys(), self.id, self.weight);
            let call = |client| requests::join(client, keys, id, weight, was_unanswered);
            let answer = self.shared.client.call(call).await;
            drop(turn);
            self.is_unanswered = was_unanswered;
            match answer {
                Ok(created) => return Ok(created),
                Err(Failure::Unanswered(_)) => {
                    was_unanswered = true;
                    self.is_unanswered = true;
                    pauses.pause().await;
                }
                Err(Failure::NoLease) => {
                    self.lease.end();
                    return Err(self.shared.loss());
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    fn over(&self, limit: u32) -> Error {
        Error::OverLimit { requested: self.weight, limit }
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    pub(crate) fn created(&self) -> i64 {
        self.created
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled() || self.lease.is_lost()
    }

    pub(crate) async fn lost(&self) {
        tokio::select! {
            () = self.lost.cancelled() => {}
            () = self.lease.ended() => {}
            () = self.lease.expired() => {}
        }
    }

    /// Asks etcd whether the place is there.
    ///
    /// # Errors
    ///
    /// `Lost`, `Closed`, `Refused`
    pub(crate) async fn verify(&self) -> Result<(), Error> {
        let call = |client| requests::is_there(client, self.queue.keys(), self.id, self.created);
        let is_there = tokio::select! {
            biased;
            () = self.lost() => false,
            is_there = self.shared.client.insist_in_turn(&self.shared.asked, call) => is_there?,
        };
        if !is_there {
            self.lost.cancel();
        }
        if self.is_lost() { Err(self.shared.loss()) } else { Ok(()) }
    }

    /// Deletes the key, and waits until etcd has said that it is gone.
    ///
    /// # Errors
    ///
    /// `Lost`, `Closed`, `Refused`
    pub(crate) async fn give_up(mut self) -> Result<(), Error> {
        // What it deletes itself is not lost.
        self.queue.forget(self.id);
        let key = self.queue.keys().place(self.id);
        let attempts = AtomicU32::new(0);
        let call = |client| {
            // ORDERING: Relaxed. One task counts.
            attempts.fetch_add(1, Ordering::Relaxed);
            requests::delete(client, &key)
        };
        let deleted = tokio::select! {
            biased;
            () = self.lost() => return Err(self.shared.loss()),
            deleted = self.shared.client.insist_in_turn(&self.shared.asked, call) => deleted,
        };
        let deleted = deleted?;
        self.may_exist = false;
        // An attempt whose answer was lost may have deleted it.
        if deleted == 0 && attempts.into_inner() == 1 { Err(self.shared.loss()) } else { Ok(()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.forget(self.id);
        if self.is_unanswered {
            let queue = Arc::clone(&self.queue);
            self.shared.follow(Follow::WhileLeased(queue, self.id.session));
        }
        if self.may_exist {
            self.shared.sweep(self.queue.keys().place(self.id));
        }
    }
}
