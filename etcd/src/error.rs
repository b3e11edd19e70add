//! Why there is no permit.

use std::sync::Arc;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options of a session cannot work. Nothing was sent.
    #[error("invalid options: {0}")]
    InvalidOptions(String),
    /// The name of a semaphore cannot be part of a key. Nothing was sent.
    #[error("{name:?} cannot name a semaphore: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit of zero was asked for. Nothing was sent.
    #[error("a semaphore has at least one permit")]
    ZeroLimit,
    /// Zero permits were asked for. Nothing was sent.
    #[error("a request is for at least one permit")]
    ZeroPermits,
    /// The request can never be granted, or no more: the limit is lower.
    #[error("{requested} permits were requested, and the limit is {limit}")]
    OverLimit {
        /// How many permits were asked for.
        requested: u32,
        /// How many permits the semaphore has.
        limit: u32,
    },
    /// The semaphore exists with another limit.
    #[error("the semaphore {name:?} exists with a limit of {found}, not {expected}")]
    OtherLimit {
        /// The name of the semaphore.
        name: String,
        /// The limit that was given to `open`.
        expected: u32,
        /// The limit that it has.
        found: u32,
    },
    /// The semaphore does not exist, or was removed.
    #[error("there is no semaphore {name:?}")]
    NotFound {
        /// The name of the semaphore.
        name: String,
    },
    /// The semaphore cannot be removed: somebody holds permits of it, or waits for some.
    #[error("the semaphore {name:?} is in use")]
    InUse {
        /// The name of the semaphore.
        name: String,
    },
    /// `try_acquire` found too few free permits, or somebody who waits.
    #[error("too few permits are free")]
    NoPermits,
    /// The lease of the session may have expired, or somebody deleted the key. What it held is lost, and so is
    /// its place in the line.
    #[error("the lease of the session is lost, and its permits and places with it")]
    Lost,
    /// The session was closed; or it ended by itself, as etcd refused a new lease, or its runtime was shut down.
    /// [`Session::close`](crate::Session::close) says why.
    #[error("the session is closed")]
    Closed,
    /// etcd gave no answer in the time that the call has. Whether the request was carried out is not known.
    #[error("no answer from etcd: {0}")]
    Unavailable(String),
    /// etcd refused the request, and would refuse it again.
    #[error("etcd refused the request: {0}")]
    Refused(#[source] Arc<etcd_client::Error>),
}
