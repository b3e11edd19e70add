//! Tasks that share one permit, so that every acquire but the first few waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;

use super::{Workload, timed};
use crate::Semaphore;
use crate::executor::{self, Executor};

/// So many tasks on the least executor that there can be: next to nothing but the semaphore.
#[derive(Clone, Copy, Debug)]
pub struct BareTasks(pub u16);

impl Workload for BareTasks {
    fn name(&self) -> String {
        format!("hand-off, {} tasks, bare polling", self.0)
    }

    fn operations(&self) -> u32 {
        self.0.into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let semaphore = &S::with_permits(1);
        let mut executor = Executor::new((0..self.0).map(|_| async move {
            for _ in 0..rounds {
                let permit = semaphore.acquire().await.expect("nobody closes it");
                executor::yield_now().await;
                drop(permit);
            }
        }));
        timed(|| executor.run())
    }
}

/// So many tasks on tokio's current-thread runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioTasks(pub u16);

impl Workload for TokioTasks {
    fn name(&self) -> String {
        format!("hand-off, {} tasks, tokio's current-thread runtime", self.0)
    }

    fn operations(&self) -> u32 {
        self.0.into()
    }

    fn run<S: Semaphore>(&self, rounds: u64) -> Duration {
        let runtime = runtime::Builder::new_current_thread().build().expect("it needs no driver");
        let semaphore = Arc::new(S::with_permits(1));
        let tasks: Vec<_> = (0..self.0)
            .map(|_| {
                let semaphore = Arc::clone(&semaphore);
                // It does not start before the runtime is driven.
                runtime.spawn(async move {
                    for _ in 0..rounds {
                        let permit = semaphore.acquire().await.expect("nobody closes it");
                        tokio::task::yield_now().await;
                        drop(permit);
                    }
                })
            })
            .collect();
        timed(|| {
            runtime.block_on(async {
                for task in tasks {
                    task.await.expect("no task panics");
                }
            });
        })
    }
}
