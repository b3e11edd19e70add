//! A futurelock: a permit was given to a future that nobody polls, and everything stands still. It is seen
//! within a second, and then cured in three ways.
//!
//! ```sh
//! cargo run --example futurelock
//! ```
//!
//! One task asks for the database in a `select!` that another branch wins. The future that lost keeps its
//! place in the line, and it is granted the permit when that comes back. But the task does not poll it any
//! more: it asks again, and waits behind itself, for ever.

use std::pin::pin;
use std::time::Duration;

use semafair::Semaphore;
use semafair::monitor::{Case, CaseKind, Monitored};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a grant may wait to be collected.
const THRESHOLD: Duration = Duration::from_millis(200);
/// How long a job may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_millis(900);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("Stuck:");
    let (database, mut cases) = database();
    let job = tokio::spawn(stuck(database.clone()));
    let grant = async {
        loop {
            let case = cases.recv().await.expect("the watch goes on");
            println!("  {case}");
            if case.kind == CaseKind::Uncollected {
                break;
            }
        }
    };
    timeout(Duration::from_secs(1), grant).await.expect("it is reported within a second");
    print!("{}", indented(&database.report().to_string()));
    assert!(timeout(PATIENCE, job).await.is_err(), "it is stuck");

    type Cure = fn(Monitored) -> JoinHandle<()>;
    let cures: [(&str, Cure); 3] = [
        ("the loser is dropped", |database| tokio::spawn(loser_dropped(database))),
        ("the loser is a task of its own", |database| tokio::spawn(loser_spawned(database))),
        ("both are polled to their end", |database| tokio::spawn(both_polled(database))),
    ];
    for (name, cure) in cures {
        let (database, mut cases) = self::database();
        cure(database.clone()).await.expect("it does not panic");
        assert!(cases.try_recv().is_err(), "nothing is wrong");
        assert_eq!(database.available_permits(), 1);
        println!("Cured: {name}.");
    }
}

/// One permit, and the cases that its watch reports.
fn database() -> (Monitored, UnboundedReceiver<Case>) {
    let database = Monitored::new("database", Semaphore::new(1));
    let (send, cases) = unbounded_channel();
    let watch = database.watch(THRESHOLD);
    tokio::spawn(watch.run(sleep, move |case| drop(send.send(case))));
    (database, cases)
}

/// Somebody uses the database for a moment.
fn somebody_else(database: &Monitored) {
    let held = database.try_acquire().expect("nobody else is there yet");
    held.set_label("somebody else");
    tokio::spawn(async move {
        sleep(Duration::from_millis(20)).await;
        drop(held);
    });
}

/// The trap: `first` lost, is still in the line, and is not polled any more.
async fn stuck(database: Monitored) {
    somebody_else(&database);
    let mut first = pin!(database.acquire().label("first try"));
    tokio::select! {
        permit = &mut first => drop(permit),
        () = sleep(Duration::from_millis(5)) => {
            // Too slow: tell the user, and note that in the database.
            drop(database.acquire().label("note").await);
        }
    }
}

/// The loser gives up its place.
async fn loser_dropped(database: Monitored) {
    somebody_else(&database);
    let in_time = tokio::select! {
        // By value: it is dropped when the other branch wins.
        permit = database.acquire() => { drop(permit); true }
        () = sleep(Duration::from_millis(5)) => false,
    };
    if !in_time {
        drop(database.acquire().await);
    }
}

/// The loser is polled by the runtime, whatever this task does.
async fn loser_spawned(database: Monitored) {
    somebody_else(&database);
    let mut first = tokio::spawn(database.acquire());
    tokio::select! {
        permit = &mut first => drop(permit),
        () = sleep(Duration::from_millis(5)) => {
            // The first gets its permit, and drops it when nobody takes it.
            first.abort();
            drop(database.acquire().await);
        }
    }
}

/// Whoever wins, both go on.
async fn both_polled(database: Monitored) {
    somebody_else(&database);
    let first = async { drop(database.acquire().await) };
    let note = async {
        sleep(Duration::from_millis(5)).await;
        drop(database.acquire().await);
    };
    tokio::join!(first, note);
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
