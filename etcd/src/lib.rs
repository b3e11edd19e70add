//! A limit on a whole fleet: at most N at a time, however many processes run.
//!
//! A [`DistributedSemaphore`] lives in [etcd](https://etcd.io). It is first in, first out over all processes, weighted,
//! leased and fenced.
//!
//! # What it cannot promise
//!
//! **A lease is not mutual exclusion.** A process may be suspended for longer than its lease lives, wake up, and take
//! one more step while others have its permits. No algorithm on leases prevents that; a distributed semaphore is a
//! lease. Where that is a few requests too many for an API, all is well. Where it does harm, send
//! [`Permit::fence`] along with each step, and let the resource refuse what is older than what it has seen. And stop
//! when [`Permit::lost`] says so: by a clock of this side, it comes before etcd gives the permits away.
//!
//! # Which etcd
//!
//! Version 3.5.23 or 3.6.5, or later of those lines. Older ones have bugs that matter here: a former leader that was
//! stuck could revoke leases that were alive
//! ([etcd#15247](https://github.com/etcd-io/etcd/issues/15247)), so that permits are given away early; and a renewal could
//! be confirmed for a lease that had just been revoked ([etcd#20590](https://github.com/etcd-io/etcd/issues/20590)). It
//! works with 3.4 too: the tests run on the one that Debian has. When etcd changes its leader, leases start their time anew:
//! so permits of a crashed process may come back later than its lease says, not earlier.
//!
//! # A backup
//!
//! etcd that was restored from a backup has lost what it did since, and its revisions go back, and with them the fences. A
//! session that hears from it before it has come as far again notices: all its permits and places are lost. Later it would not. So
//! restore with `--bump-revision` and `--mark-compacted`
//! ([etcd#16028](https://github.com/etcd-io/etcd/issues/16028)): then revisions and fences go on, and etcd ends all watches.
//!
//! # How it works
//!
//! ```text
//! semafair/api/limit                  10    how many permits there are
//! semafair/api/line/694d8a2b3c4d/17   1     a request for one permit, of that lease
//! semafair/api/line/694d8a2b3c4f/3    4     a request for four, of another process
//! ```
//!
//! - Each process has one lease, one connection and one watch, for all its tasks and semaphores.
//! - To acquire is to put a key under the lease. Its creation revision is the place in the line, and the fence. Putting it
//!   once more leaves that as it is, so a lost answer costs no place.
//! - A request is granted when it and all requests in front of it fit into the limit. New keys come last and keys in front
//!   only vanish, so this stays true once it is: each process decides by what its watch shows it, and asks nobody.
//! - To release, or to stop waiting, deletes the key. When a process dies, etcd does that at the end of its lease.
//! - A key of this process that no task of it knows is an orphan, such as a request that arrives after its task has
//!   left. It is deleted as soon as the watch shows it.
//! - The lease counts as lost here at the sending time of the last confirmed renewal, plus nine tenths of its lifetime,
//!   by a clock that goes on in suspend; or when etcd says so; or when the watch shows that the key is gone.
//!
//! # Limits
//!
//! - Time passes in whole seconds, and etcd's shortest lease is one and a half times its election timeout: 2 seconds.
//! - A request, and a limit, are from 1 to `u32::MAX` permits.
//! - Each process that has a semaphore open gets an event for each request and each release of the fleet: with P processes
//!   a hand-off is two events for each, so 2 P. That is for tens of processes, or for hundreds that are slow.
//! - Nothing but this crate may write under the namespace.
//! - Where etcd asks for a user, that of a session has to be allowed to read and write all keys of its semaphores,
//!   `NAMESPACE/NAME/`.
//! - On systems other than Linux the clock may stand still in suspend.

#![forbid(unsafe_code)]

mod client;
mod clock;
mod error;
mod keeper;
mod keys;
mod lease;
mod mirror;
mod options;
mod permit;
mod place;
mod queue;
mod requests;
mod semaphore;
mod session;
mod shared;
mod status;
mod sweeper;
mod watcher;

/// For tests that need an etcd and a clock that they can move.
#[cfg(test)]
#[path = "../examples/node/mod.rs"]
mod node;

pub use error::Error;
pub use etcd_client::ConnectOptions;
pub use keys::SessionId;
pub use options::Options;
pub use permit::Permit;
pub use semaphore::DistributedSemaphore;
pub use session::Session;
pub use status::{Request, Status};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
