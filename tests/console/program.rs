//! A program that stands still, for tokio-console to look at.
//!
//! ```sh
//! scripts/console --run
//! tokio-console # in another terminal: `r` shows the resources, and the enter key one of them
//! ```
//!
//! The report asks for the database in a `select!` that another branch wins, and keeps the future. When the backup is
//! done, that future is granted a permit, and nobody polls it. So the import never gets the two that it needs, and the
//! queries wait behind it. The docs of `semafair::monitor` have what tokio-console shows then.

use std::pin::pin;
use std::time::Duration;

use semafair::monitor::Monitored;
use semafair::{AcquireError, Semaphore};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    console_subscriber::init();
    let database = Monitored::new("database", Semaphore::new(2));
    let backup = database.try_acquire_many(2).expect("nobody else is there yet");
    tokio::spawn(report(database.clone()));
    sleep(Duration::from_millis(500)).await;
    tokio::spawn(import(database.clone()));
    sleep(Duration::from_millis(500)).await;
    for _ in 0..2 {
        tokio::spawn(query(database.clone()));
    }
    sleep(Duration::from_secs(1)).await;
    drop(backup);
    tokio::signal::ctrl_c().await
}

async fn report(database: Monitored) {
    let mut connection = pin!(database.acquire().label("report"));
    tokio::select! {
        permit = &mut connection => drop(permit),
        () = sleep(Duration::from_millis(100)) => {
            // Too slow: send the report of yesterday.
            sleep(Duration::from_secs(3600)).await;
        }
    }
}

async fn import(database: Monitored) -> Result<(), AcquireError> {
    let _both = database.acquire_many(2).label("import").await?;
    sleep(Duration::from_millis(300)).await;
    Ok(())
}

async fn query(database: Monitored) -> Result<(), AcquireError> {
    let _connection = database.acquire().label("query").await?;
    sleep(Duration::from_millis(50)).await;
    Ok(())
}
