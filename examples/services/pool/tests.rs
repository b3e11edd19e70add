//! What the pool promises. Time is simulated: it passes when all tasks wait, so no test depends on how fast it runs, and
//! one that waits for ever ends at once.

#[path = "../../../tests/it/support/watchdog.rs"]
mod watchdog;

mod pool;

use std::collections::HashSet;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};

use pool::{Manager, Pool, PoolError, Settings};

/// Makes connections that are numbers, and does as it is told.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    made: usize,
    open: usize,
    most: usize,
    refuses: bool,
    hangs: bool,
    broken: HashSet<usize>,
    mute: HashSet<usize>,
}

struct Connection {
    number: usize,
    fake: Fake,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.fake.with(|state| state.open -= 1);
    }
}

impl Fake {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    fn open(&self) -> usize {
        self.with(|state| state.open)
    }
}

impl Manager for Fake {
    type Connection = Connection;
    type Error = &'static str;

    async fn connect(&self) -> Result<Connection, &'static str> {
        // The connection is open from the first packet on.
        let connection = self.with(|state| {
            state.made += 1;
            state.open += 1;
            state.most = state.most.max(state.open);
            Connection { number: state.made, fake: self.clone() }
        });
        yield_now().await;
        if self.with(|state| state.hangs) {
            pending::<()>().await;
        }
        if self.with(|state| state.refuses) { Err("nobody is there") } else { Ok(connection) }
    }

    async fn check(&self, connection: &mut Connection) -> bool {
        yield_now().await;
        let number = connection.number;
        if self.with(|state| state.mute.contains(&number)) {
            pending::<()>().await;
        }
        self.with(|state| !state.broken.contains(&number))
    }
}

const GET: Duration = Duration::from_secs(10);
const CHECK: Duration = Duration::from_secs(1);

fn pool(connections: usize, queue: usize) -> (Pool<Fake>, Fake) {
    watchdog::watch();
    let fake = Fake::default();
    (Pool::new(fake.clone(), Settings { connections, queue, get: GET, check: CHECK }), fake)
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again() {
    let (pool, fake) = pool(2, 0);
    for _ in 0..5 {
        assert_eq!(pool.get().await.unwrap().number, 1);
    }
    assert_eq!(fake.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_than_allowed() {
    let (pool, fake) = pool(3, 100);
    let mut users = JoinSet::new();
    for user in 0..50 {
        let (pool, fake) = (pool.clone(), fake.clone());
        users.spawn(async move {
            for turn in 0..20 {
                let connection = pool.get().await.unwrap();
                yield_now().await;
                match (user * 7 + turn * 3) % 5 {
                    0 => connection.discard(),
                    1 => fake.with(|state| state.broken.extend([connection.number])),
                    2 => fake.with(|state| state.mute.extend([connection.number])),
                    _ => {}
                }
            }
        });
    }
    while let Some(ended) = users.join_next().await {
        ended.unwrap();
    }
    assert_eq!(fake.with(|state| state.most), 3);
    assert_eq!(pool.status().available, 3);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_in_time_and_the_place_goes() {
    let (pool, _) = pool(1, 10);
    let connection = pool.get().await.unwrap();
    let start = Instant::now();
    assert!(matches!(pool.get().await, Err(PoolError::TimedOut)));
    assert_eq!(start.elapsed().as_secs(), GET.as_secs());
    assert_eq!(pool.status().queued, 0);
    drop(connection);
    assert!(pool.get().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_refused_at_once() {
    let (pool, _) = pool(1, 1);
    let _connection = pool.get().await.unwrap();
    let start = Instant::now();
    let (waited, refused) = tokio::join!(pool.get(), async {
        let refused = pool.get().await;
        (refused, start.elapsed())
    });
    assert!(matches!(waited, Err(PoolError::TimedOut)));
    assert!(
        matches!(refused, (Err(PoolError::Refused(why)), Duration::ZERO) if why.is_queue_full())
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_one_is_replaced() {
    let (pool, fake) = pool(1, 0);
    drop(pool.get().await.unwrap());
    fake.with(|state| state.broken.insert(1));
    assert_eq!(pool.get().await.unwrap().number, 2);
    assert_eq!(fake.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_its_check_is_replaced() {
    let (pool, fake) = pool(1, 0);
    drop(pool.get().await.unwrap());
    fake.with(|state| state.mute.insert(1));
    let start = Instant::now();
    assert_eq!(pool.get().await.unwrap().number, 2);
    assert_eq!(start.elapsed().as_secs(), CHECK.as_secs());
    assert_eq!(fake.with(|state| state.most), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_discarded_is_replaced() {
    let (pool, fake) = pool(1, 0);
    pool.get().await.unwrap().discard();
    assert_eq!(fake.open(), 0);
    assert_eq!(pool.get().await.unwrap().number, 2);
}

#[tokio::test(start_paused = true)]
async fn one_whose_user_panicked_is_replaced() {
    let (pool, fake) = pool(1, 0);
    let connection = pool.get().await.unwrap();
    let user = AssertUnwindSafe(move || {
        let _connection = connection;
        std::panic::resume_unwind(Box::new("in the middle of a conversation"));
    });
    assert!(std::panic::catch_unwind(user).is_err());
    assert_eq!(fake.open(), 0);
    assert_eq!(pool.get().await.unwrap().number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_leaves_its_permit() {
    let (pool, fake) = pool(1, 0);
    fake.with(|state| state.refuses = true);
    assert!(matches!(pool.get().await, Err(PoolError::Connect("nobody is there"))));
    fake.with(|state| state.refuses = false);
    assert!(pool.get().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn connecting_ends_in_time() {
    let (pool, fake) = pool(1, 0);
    fake.with(|state| state.hangs = true);
    assert!(matches!(pool.get().await, Err(PoolError::TimedOut)));
    assert_eq!((fake.open(), pool.status().available), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_one_leaves_nothing_behind() {
    let (pool, fake) = pool(1, 0);
    drop(pool.get().await.unwrap());
    fake.with(|state| state.mute.insert(1));
    // In the middle of the check.
    assert!(timeout(CHECK / 2, pool.get()).await.is_err());
    assert_eq!((fake.open(), pool.status().available), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn idle_ones_are_checked_and_nobody_is_kept_waiting_for_it() {
    let (pool, fake) = pool(3, 10);
    let all = tokio::join!(pool.get(), pool.get(), pool.get());
    drop(all);
    fake.with(|state| state.broken.extend([1, 3]));
    pool.check_idle().await;
    assert_eq!(fake.open(), 1);

    let all = tokio::join!(pool.get(), pool.get(), pool.get());
    fake.with(|state| state.broken.extend(1..9));
    pool.check_idle().await;
    assert_eq!(fake.open(), 3);
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_drains() {
    let (pool, fake) = pool(2, 10);
    let (used, idle) = tokio::join!(pool.get(), pool.get());
    drop(idle);
    assert_eq!(fake.open(), 2);

    pool.close();
    assert!(matches!(pool.get().await, Err(PoolError::Refused(why)) if why.is_closed()));
    assert!(timeout(GET, pool.drained()).await.is_err(), "one is in use");
    assert_eq!(fake.open(), 1);
    drop(used);
    timeout(GET, pool.drained()).await.expect("all are back");
    assert_eq!(fake.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_refused_when_it_closes() {
    let (pool, fake) = pool(1, 10);
    let used = pool.get().await.unwrap();
    let (refused, ()) = tokio::join!(pool.get(), async { pool.close() });
    assert!(matches!(refused, Err(PoolError::Refused(why)) if why.is_closed()));
    drop(used);
    assert_eq!(fake.open(), 0);
}
