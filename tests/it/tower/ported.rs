//! What tower's own tests of its concurrency limit ask for, in words of our own, on the same mock service.
//!
//! tower 0.5.3, `tests/limit/concurrency.rs`:
//!
//! | tower's test | here |
//! |---|---|
//! | `basic_service_limit_functionality_with_poll_ready` | `so_many_calls_pass_and_the_next_waits`; the third call waits in its future, where tower's clone is not ready |
//! | `basic_service_limit_functionality_without_poll_ready` | `both_pass_before_the_first_is_answered`; the same difference |
//! | `request_without_capacity` | `without_permits_no_request_passes`; it is ready, and the call waits |
//! | `reserve_capacity_without_sending_request` | does not apply: it pins down that a clone reserves a permit by being ready. `starvation` pins down the contrary |
//! | `service_drop_frees_capacity` | does not apply: a clone has no permit to give back. `a_call_dropped_gives_back_its_permit` is what remains |
//! | `response_error_releases_capacity` | `an_error_gives_back_the_permit` |
//! | `response_future_drop_releases_capacity` | `a_call_dropped_gives_back_its_permit` |
//! | `multi_waiters` | `waiters_are_woken_one_by_one`; they wait in their calls |

use semafair::tower::{ConcurrencyLimit, ConcurrencyLimitLayer};
use tokio_test::task::{Spawn, spawn};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower_test::mock::{self, Handle, Mock};
use tower_test::{assert_request_eq, mock::Spawn as OnTask};

use crate::support::{served, waits, watch};

type Text = &'static str;
type Limited = OnTask<ConcurrencyLimit<Mock<Text, Text>>>;

fn limited(max: usize) -> (Limited, Handle<Text, Text>) {
    watch();
    mock::spawn_layer(ConcurrencyLimitLayer::new(max))
}

/// Calls it when it is ready, which it is at once.
#[track_caller]
fn call(
    service: &mut Limited,
    request: Text,
) -> Spawn<<ConcurrencyLimit<Mock<Text, Text>> as tower::Service<Text>>::Future> {
    assert_ready_ok!(service.poll_ready());
    spawn(service.call(request))
}

#[tokio::test]
async fn so_many_calls_pass_and_the_next_waits() {
    let (mut service, mut handle) = limited(2);
    let mut one = call(&mut service, "one");
    let mut two = call(&mut service, "two");
    let mut three = call(&mut service, "three");
    for call in [&mut one, &mut two, &mut three] {
        assert_pending!(call.poll());
    }
    assert_request_eq!(handle, "one").send_response("first");
    assert_request_eq!(handle, "two").send_response("second");
    assert_pending!(handle.poll_request());
    waits(&mut three);

    assert_eq!(served(&mut one).unwrap(), "first");
    assert!(three.is_woken());
    assert_pending!(three.poll());
    assert_request_eq!(handle, "three").send_response("third");
    assert_eq!(served(&mut two).unwrap(), "second");
    assert_eq!(served(&mut three).unwrap(), "third");
}

#[tokio::test]
async fn both_pass_before_the_first_is_answered() {
    let (mut service, mut handle) = limited(2);
    let mut one = call(&mut service, "one");
    assert_pending!(one.poll());
    let mut two = call(&mut service, "two");
    assert_pending!(two.poll());
    let mut three = call(&mut service, "three");
    assert_pending!(three.poll());
    let (_, first) = handle.next_request().await.unwrap();
    let (request, second) = handle.next_request().await.unwrap();
    assert_eq!(request, "two");
    // Answered in the other order.
    second.send_response("second");
    waits(&mut three);
    assert_eq!(served(&mut two).unwrap(), "second");
    assert!(three.is_woken());
    first.send_response("first");
    assert_eq!(served(&mut one).unwrap(), "first");
    assert_pending!(three.poll());
    assert_request_eq!(handle, "three").send_response("third");
    assert_eq!(served(&mut three).unwrap(), "third");
}

#[tokio::test]
async fn without_permits_no_request_passes() {
    let (mut service, mut handle) = limited(0);
    let mut call = call(&mut service, "one");
    assert_pending!(call.poll());
    assert_pending!(handle.poll_request());
    waits(&mut call);
}

#[tokio::test]
async fn an_error_gives_back_the_permit() {
    let (mut service, mut handle) = limited(1);
    let mut clone = service.clone();
    let mut one = call(&mut service, "one");
    assert_pending!(one.poll());
    let mut two = call(&mut clone, "two");
    assert_pending!(two.poll());
    assert_request_eq!(handle, "one").send_error("boom");
    assert_eq!(assert_ready_err!(one.poll()).to_string(), "boom");
    assert!(two.is_woken());
    assert_pending!(two.poll());
    assert_request_eq!(handle, "two").send_response("second");
    assert_eq!(served(&mut two).unwrap(), "second");
}

#[tokio::test]
async fn a_call_dropped_gives_back_its_permit() {
    let (mut service, mut handle) = limited(1);
    let mut clone = service.clone();
    let mut one = call(&mut service, "one");
    assert_pending!(one.poll());
    let mut two = call(&mut clone, "two");
    assert_pending!(two.poll());
    // The service has none.
    drop(service);
    waits(&mut two);
    drop(one);
    assert!(two.is_woken());
    assert_pending!(two.poll());
    assert_request_eq!(handle, "one");
    assert_request_eq!(handle, "two").send_response("second");
    assert_eq!(served(&mut two).unwrap(), "second");
}

#[tokio::test]
async fn waiters_are_woken_one_by_one() {
    let (mut service, _handle) = limited(1);
    let (mut second, mut third) = (service.clone(), service.clone());
    let mut one = call(&mut service, "one");
    let mut two = call(&mut second, "two");
    let mut three = call(&mut third, "three");
    for call in [&mut one, &mut two, &mut three] {
        assert_pending!(call.poll());
    }
    drop(one);
    assert!(two.is_woken());
    assert!(!three.is_woken());
    drop(two);
    assert!(three.is_woken());
}
