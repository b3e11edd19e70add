//! An async counting semaphore: lock-free, strictly fair, weighted and cancel-safe, with the names and
//! meanings of `tokio::sync::Semaphore`.
//!
//! ```
//! use semafair::{AcquireError, Semaphore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), AcquireError> {
//! let tellers = Semaphore::new(2);
//!
//! let teller = tellers.acquire().await?; // waits in line; dropping the future leaves the line
//! assert_eq!(tellers.available_permits(), 1);
//! drop(teller); // gives the permit back, and wakes the next in line
//!
//! let both = tellers.acquire_many(2).await?; // weighted
//! assert_eq!(both.num_permits(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to read on
//!
//! - [`Semaphore`] is the contract: [fairness](Semaphore#fairness), [cancel
//!   safety](Semaphore#cancel-safety), [memory ordering](Semaphore#memory-ordering),
//!   [progress](Semaphore#progress) and [closing](Semaphore#closing); then what is [different from
//!   tokio](Semaphore#differences-from-tokio), [traps](Semaphore#traps) to keep out of, and [worked
//!   examples](Semaphore#examples).
//! - [`SemaphorePermit`] and [`OwnedSemaphorePermit`] are the guards: dropping one gives its permits back. They can be
//!   merged, split and forgotten.
//! - [`Acquire`] and [`AcquireOwned`] are the futures. They can be stored without a box, and moved while they wait. With
//!   [`enqueue`](Acquire::enqueue) one takes its place before it is polled.
//! - [`PermitIn`] and [`AcquireIn`] keep alive what the semaphore is a part of, such as a pool.
//! - [`AcquireAll`] and [`AcquireAllOwned`] take permits of several semaphores, without holding one while they wait for another.
//! - [`AcquireBetween`] takes as many permits as there are, and [`Run`] runs a future under permits.
//! - [`Drained`] waits until the semaphore is closed and all permits are back.
//! - [`CloseOnDrop`] closes the semaphore when its owner is gone.
//! - [`Semaphore::set_limit`] changes how many permits exist, [`Semaphore::builder`] makes a semaphore whose line is
//!   bounded, and [`Semaphore::status`] shows what is going on.
//! - [`PollSemaphore`] is for futures and services that are written by hand.
//! - [`AcquireError`], [`TryAcquireError`] and [`AcquireTimeoutError`] say why there is no permit.
//!
//! How it works, and why it is right, is in the
//! [design](https://docs.rs/crate/semafair/latest/source/src/line/README.md); what each operation costs, in
//! [costs](https://docs.rs/crate/semafair/latest/source/src/line/COSTS.md).
//!
//! # Features
//!
//! - `std`, on by default: the `blocking_*` methods, and panics of wakers that come out after everything else was done.
//!   Without it the crate needs `alloc` only, and a waker that panics ends the process.
//! - `tokio`, on by default, with `std`: acquiring takes part in the cooperative budget of tokio's tasks, and `blocking_*`
//!   panics on a thread that drives a tokio runtime. Other executors need neither:
//!   `default-features = false, features = ["std"]`.
//! - `portable-atomic`: for targets without 64-bit atomics, by the crate of that name.
//! - `stream`: [`PollSemaphore`] implements `futures_core::Stream`.
//! - `futures`: `LimitedStreamExt` runs a function on the items of a stream under permits. It includes `stream`.
//! - `keyed`: `KeyedSemaphore`, a limit for each key, and `PartitionedSemaphore`, one pool that keys share fairly.
//! - `monitor`: the module `monitor`, a semaphore that knows who holds its permits, who waits, and who was given some that
//!   nobody collects.
//! - `tracing`: what `monitor` knows shows in tokio-console, too. It includes `monitor`.
//! - `serde`: [`Status`], and the reports of `monitor`, can be serialized.
//! - `tower`: the module `tower`, a layer that limits how many calls of a service run at a time, in the order in which
//!   they were made.

#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

mod acquire;
mod acquire_all;
mod acquire_in;
mod between;
#[cfg(any(test, feature = "std"))]
mod blocking;
mod builder;
mod close_on_drop;
mod core;
mod drained;
mod error;
mod handle;
#[cfg(feature = "keyed")]
mod keyed;
mod limit;
mod line;
#[cfg(feature = "futures")]
mod map_limited;
#[cfg(feature = "monitor")]
pub mod monitor;
mod panic;
#[cfg(feature = "keyed")]
mod partitioned;
mod permit;
mod poll_semaphore;
#[cfg(feature = "keyed")]
mod registry;
mod run;
mod semaphore;
mod status;
mod sync;
#[cfg(feature = "tower")]
pub mod tower;
mod try_acquire;
mod wakes;

pub use self::acquire::{Acquire, AcquireOwned};
pub use self::acquire_all::{AcquireAll, AcquireAllOwned};
pub use self::acquire_in::AcquireIn;
pub use self::between::{AcquireBetween, AcquireBetweenOwned};
#[cfg(any(test, feature = "std"))]
pub use self::blocking::timeout::AcquireTimeoutError;
pub use self::builder::Builder;
pub use self::close_on_drop::{CloseOnDrop, CloseOnDropOwned};
pub use self::drained::{Drained, DrainedOwned};
pub use self::error::{AcquireError, TooManyPermitsError, TryAcquireError};
#[cfg(feature = "keyed")]
pub use self::keyed::KeyedSemaphore;
#[cfg(feature = "keyed")]
pub use self::keyed::acquire::KeyedAcquire;
#[cfg(feature = "keyed")]
pub use self::keyed::handle::KeyedHandle;
#[cfg(feature = "keyed")]
pub use self::keyed::permit::KeyedPermit;
#[cfg(feature = "futures")]
pub use self::map_limited::{LimitedStreamExt, MapLimited};
#[cfg(feature = "keyed")]
pub use self::partitioned::PartitionedSemaphore;
#[cfg(feature = "keyed")]
pub use self::partitioned::acquire::PartitionedAcquire;
#[cfg(feature = "keyed")]
pub use self::partitioned::builder::PartitionedBuilder;
#[cfg(feature = "keyed")]
pub use self::partitioned::permit::PartitionedPermit;
pub use self::permit::{OwnedSemaphorePermit, PermitIn, SemaphorePermit};
pub use self::poll_semaphore::PollSemaphore;
pub use self::run::Run;
pub use self::semaphore::Semaphore;
pub use self::status::Status;

/// The examples of the README, which run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
