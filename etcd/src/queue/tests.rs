//! Who of this process is told what. No etcd, no time.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio::sync::oneshot::Receiver;

use super::*;

const MINE: SessionId = SessionId(1);

fn id(number: u64) -> PlaceId {
    PlaceId { session: MINE, number }
}

fn queue(limit: u32) -> Queue {
    let keys = Keys::new("semafair", "api").unwrap();
    Queue::new(keys, Snapshot { revision: 1, limit: Some(limit), places: Vec::new() })
}

fn expect(queue: &Queue, number: u64, weight: u32) -> (Receiver<Answer>, CancellationToken) {
    let lost = CancellationToken::new();
    (queue.expect(id(number), weight, true, lost.clone()), lost)
}

fn join(number: u64, created: i64, weight: u32) -> (i64, Change) {
    (created, Change::Join { id: id(number), created, weight })
}

fn snapshot(revision: i64, places: &[(PlaceId, i64, u32)]) -> Snapshot {
    Snapshot { revision, limit: Some(1), places: places.to_vec() }
}

#[test]
fn each_is_told_when_its_turn_comes() {
    let queue = queue(1);
    let (mut first, _) = expect(&queue, 1, 1);
    let (mut second, _) = expect(&queue, 2, 1);
    // The one that etcd has first, not the one that was expected first.
    assert!(queue.apply([join(2, 5, 1), join(1, 6, 1)], Some(MINE)).is_empty());
    assert!(matches!(second.try_recv(), Ok(Answer::Granted(5))));
    assert!(first.try_recv().is_err());
    queue.forget(id(2));
    queue.apply([(7, Change::Leave(id(2)))], Some(MINE));
    assert!(matches!(first.try_recv(), Ok(Answer::Granted(6))));
}

#[test]
fn nobody_is_granted_before_its_own_key_was_seen() {
    let queue = queue(1);
    let (mut mine, _) = expect(&queue, 1, 1);
    // etcd has said that it has a place; what is in front is not known yet.
    queue.joined(id(1), 9);
    queue.apply([(5, Change::Limit(Some(3)))], Some(MINE));
    assert!(mine.try_recv().is_err());
    let other = PlaceId { session: SessionId(2), number: 1 };
    let front = (6, Change::Join { id: other, created: 6, weight: 3 });
    queue.apply([front, join(1, 9, 1)], Some(MINE));
    assert!(mine.try_recv().is_err());
}

#[test]
fn who_does_not_wait_is_told_at_once() {
    let queue = queue(1);
    let _first = expect(&queue, 1, 1);
    let mut second = queue.expect(id(2), 1, false, CancellationToken::new());
    queue.apply([join(1, 5, 1), join(2, 6, 1)], Some(MINE));
    assert!(matches!(second.try_recv(), Ok(Answer::NoPermits)));
}

#[test]
fn an_orphan_is_one_of_this_session_that_nobody_expects() {
    let queue = queue(3);
    let _own = expect(&queue, 1, 1);
    let other = PlaceId { session: SessionId(2), number: 1 };
    let of_other = (6, Change::Join { id: other, created: 6, weight: 1 });
    let orphans = queue.apply([join(1, 5, 1), of_other, join(2, 7, 1)], Some(MINE));
    assert_eq!(orphans, [id(2)]);
    let all = [(id(1), 5, 1), (other, 6, 1), (id(2), 7, 1)];
    assert_eq!(queue.reset(snapshot(8, &all), Some(MINE)), [id(2)]);
    // While there is no lease, none of them is of this session.
    assert!(queue.reset(snapshot(9, &all), None).is_empty());
}

#[test]
fn a_place_that_a_later_state_has_not_is_lost() {
    let queue = queue(1);
    let (mut gone, gone_lost) = expect(&queue, 1, 1);
    let (mut young, young_lost) = expect(&queue, 2, 1);
    let (mut unsent, unsent_lost) = expect(&queue, 3, 1);
    queue.joined(id(1), 5);
    queue.joined(id(2), 9);
    // The state is older than the second place, and nobody knows of the third.
    queue.reset(snapshot(8, &[]), Some(MINE));
    assert!(matches!(gone.try_recv(), Ok(Answer::Lost)));
    assert!(young.try_recv().is_err() && unsent.try_recv().is_err());
    assert!(gone_lost.is_cancelled());
    assert!(!young_lost.is_cancelled() && !unsent_lost.is_cancelled());
}

/// Its data was restored from a backup.
#[test]
fn when_etcd_goes_back_all_places_are_lost_and_new_ones_are_granted() {
    let queue = queue(1);
    let other = PlaceId { session: SessionId(2), number: 1 };
    let front = (5, Change::Join { id: other, created: 5, weight: 1 });
    let (_, held) = expect(&queue, 1, 1);
    let (mut waits, waits_lost) = expect(&queue, 2, 1);
    queue.apply([front, join(1, 6, 1), join(2, 7, 1), (8, Change::Leave(other))], Some(MINE));
    assert!(!held.is_cancelled());
    let (mut unsent, _) = expect(&queue, 3, 1);
    // The one in front is there again.
    queue.reset(snapshot(6, &[(other, 5, 1), (id(1), 6, 1)]), Some(MINE));
    assert!(held.is_cancelled() && waits_lost.is_cancelled());
    assert!(matches!(waits.try_recv(), Ok(Answer::Lost)));
    assert_eq!((queue.revision(), queue.available()), (6, 0));
    queue.forget(id(1));
    queue.apply([(7, Change::Leave(other)), (8, Change::Leave(id(1)))], Some(MINE));
    queue.apply([join(3, 9, 1)], Some(MINE));
    assert!(matches!(unsent.try_recv(), Ok(Answer::Granted(9))));
}

#[test]
fn a_limit_that_falls_refuses_whoever_waits_for_more() {
    let queue = queue(3);
    let (mut three, _) = expect(&queue, 1, 3);
    let (mut more, lost) = expect(&queue, 2, 2);
    let (mut one, _) = expect(&queue, 3, 1);
    queue.apply([join(1, 5, 3), join(2, 6, 2), join(3, 7, 1)], Some(MINE));
    assert!(matches!(three.try_recv(), Ok(Answer::Granted(5))));
    queue.apply([(8, Change::Limit(Some(1)))], Some(MINE));
    assert!(matches!(more.try_recv(), Ok(Answer::OverLimit(1))));
    assert!(one.try_recv().is_err() && !lost.is_cancelled());
    queue.apply([(9, Change::Limit(None))], Some(MINE));
    assert!(matches!(one.try_recv(), Ok(Answer::NotFound)));
    assert!(matches!(queue.admit(1), Err(Error::NotFound { .. })));
}

/// Its request was under way when the limit fell.
#[test]
fn a_place_that_was_made_for_too_much_is_refused_when_it_is_seen() {
    let queue = queue(3);
    queue.apply([(5, Change::Limit(Some(1)))], Some(MINE));
    let (mut more, lost) = expect(&queue, 1, 2);
    queue.apply([join(1, 6, 2)], Some(MINE));
    assert!(matches!(more.try_recv(), Ok(Answer::OverLimit(1))));
    queue.apply([(7, Change::Limit(None))], Some(MINE));
    let (mut late, _) = expect(&queue, 2, 1);
    queue.apply([join(2, 8, 1)], Some(MINE));
    assert!(matches!(late.try_recv(), Ok(Answer::NotFound)));
    assert!(!lost.is_cancelled());
}

/// A waker that runs this.
fn waker(wake: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Run<F>(F);

    impl<F: Fn() + Send + Sync + 'static> Wake for Run<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }

    Waker::from(Arc::new(Run(wake)))
}

/// Polls once, with a waker that runs this.
fn poll_with(future: Pin<&mut impl Future>, wake: impl Fn() + Send + Sync + 'static) {
    assert!(future.poll(&mut Context::from_waker(&waker(wake))).is_pending());
}

/// A waker may run any code: it may ask for the status, or drop other places.
#[test]
fn wakers_run_when_nothing_is_locked() {
    let queue = Arc::new(queue(1));
    let (mut mine, _) = expect(&queue, 1, 1);
    let inside = Arc::clone(&queue);
    poll_with(Pin::new(&mut mine), move || {
        assert_eq!(inside.status().holders.len(), 1);
        inside.forget(id(1));
    });
    queue.apply([join(1, 5, 1)], Some(MINE));
    assert!(matches!(mine.try_recv(), Ok(Answer::Granted(5))));
    // It was forgotten in there.
    assert_eq!(queue.apply([join(1, 5, 1)], Some(MINE)), [id(1)]);
}

#[test]
fn a_waker_that_panics_takes_nothing_from_others() {
    let queue = queue(2);
    let (mut first, _) = expect(&queue, 1, 1);
    let (mut second, _) = expect(&queue, 2, 1);
    poll_with(Pin::new(&mut first), || panic!("a waker panics"));
    queue.apply([join(1, 5, 1), join(2, 6, 1)], Some(MINE));
    assert!(matches!(second.try_recv(), Ok(Answer::Granted(6))));
    assert!(matches!(first.try_recv(), Ok(Answer::Granted(5))));
}

#[test]
fn who_waits_for_a_revision_is_woken_when_nothing_is_locked() {
    let queue = Arc::new(queue(1));
    let mut reached = pin!(queue.reach(5));
    let inside = Arc::clone(&queue);
    poll_with(reached.as_mut(), move || assert_eq!(inside.status().limit, Some(3)));
    queue.apply([(5, Change::Limit(Some(3)))], Some(MINE));
    assert!(reached.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    // By a later state as well; and a waker that panics stops nothing.
    let mut again = pin!(queue.reach(8));
    poll_with(again.as_mut(), || panic!("a waker panics"));
    assert!(queue.reset(snapshot(8, &[]), Some(MINE)).is_empty());
    assert!(again.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// etcd had the place, and somebody deleted it. The line was read as a whole after that, and before its task had the
/// answer: nothing will come that shows it.
#[test]
fn a_place_that_was_gone_when_its_answer_came_is_lost() {
    let queue = queue(1);
    let (mut mine, lost) = expect(&queue, 1, 1);
    queue.reset(snapshot(8, &[]), Some(MINE));
    queue.joined(id(1), 5);
    assert!(matches!(mine.try_recv(), Ok(Answer::Lost)));
    assert!(lost.is_cancelled());
    // What is to come is not lost, and what is there is neither.
    let (mut young, _) = expect(&queue, 2, 1);
    queue.joined(id(2), 9);
    assert!(young.try_recv().is_err());
    queue.apply([join(2, 9, 1)], Some(MINE));
    queue.joined(id(2), 9);
    assert!(matches!(young.try_recv(), Ok(Answer::Granted(9))));
}

fn denied() -> Arc<etcd_client::Error> {
    Arc::new(etcd_client::Error::GRpcStatus(tonic::Status::permission_denied("")))
}

#[test]
fn nobody_waits_in_a_line_that_may_not_be_read() {
    let queue = queue(1);
    let (mut held, lost) = expect(&queue, 1, 1);
    queue.apply([join(1, 5, 1)], Some(MINE));
    assert!(matches!(held.try_recv(), Ok(Answer::Granted(5))));
    let (mut waiting, _) = expect(&queue, 2, 1);
    queue.deny(&denied());
    assert!(matches!(waiting.try_recv(), Ok(Answer::Refused(_))));
    // One that was admitted just before, and one that asks now.
    let (mut late, _) = expect(&queue, 3, 1);
    assert!(matches!(late.try_recv(), Ok(Answer::Refused(_))));
    assert!(matches!(queue.admit(1), Err(Error::Refused(_))));
    assert!(!lost.is_cancelled());
    // It may be read again.
    queue.reset(snapshot(9, &[]), Some(MINE));
    assert!(lost.is_cancelled());
    queue.admit(1).unwrap();
    let (mut next, _) = expect(&queue, 4, 1);
    queue.apply([join(4, 10, 1)], Some(MINE));
    assert!(matches!(next.try_recv(), Ok(Answer::Granted(10))));
}
