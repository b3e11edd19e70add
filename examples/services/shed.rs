//! Sheds load: refuses a request at once, instead of letting it wait where it would come too late.
//!
//! ```sh
//! cargo run --example shed
//! ```
//!
//! Two requests run at once, and four may wait. A crowd of twelve comes: six are served, and six are
//! told at once to come again. When the crowd is over, requests are served as if nothing had
//! happened. A request for more than there can ever be is refused, too, and does not wait for ever.

use std::sync::Arc;
use std::time::Duration;

use semafair::{AcquireError, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A `static` would do as well: the builder is `const`.
fn limit() -> Semaphore {
    Semaphore::builder(2).queue_limit(4).fail_oversized().name("requests").build()
}

// On one thread, so that the output is the same in every run.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let limit = Arc::new(limit());

    println!("Twelve come at once:");
    let served = crowd(12, &limit).await;
    assert_eq!(served, 6, "two run, four wait, and six are refused");

    println!("Three come later:");
    assert_eq!(crowd(3, &limit).await, 3);

    let report = answer(1, 5, &limit).await;
    println!("One asks for five at once: {report}");
}

/// Lets that many requests come, and returns how many were served.
async fn crowd(requests: u32, limit: &Arc<Semaphore>) -> usize {
    let mut answers = JoinSet::new();
    for request in 1..=requests {
        let limit = limit.clone();
        answers.spawn(async move { (request, answer(request, 1, &limit).await) });
    }
    let mut served = 0;
    while let Some(answer) = answers.join_next().await {
        let (request, answer) = answer.expect("requests do not panic");
        println!("  request {request:>2}: {answer}");
        served += usize::from(answer.starts_with("200"));
    }
    served
}

async fn answer(request: u32, weight: u32, limit: &Semaphore) -> String {
    match limit.acquire_many(weight).await {
        Ok(_permit) => {
            sleep(Duration::from_millis(100)).await;
            format!("200, page {request}")
        }
        Err(refused) => refusal(&refused),
    }
}

/// What a server says to a client that it will not serve.
fn refusal(refused: &AcquireError) -> String {
    if refused.is_queue_full() {
        format!("503, Retry-After: 1 ({refused})")
    } else if refused.is_oversized() {
        format!("413 ({refused})")
    } else {
        format!("503 ({refused})")
    }
}
