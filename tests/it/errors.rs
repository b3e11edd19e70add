//! The errors are tokio's: their texts, and what can be done with them.

use std::error::Error;

use semafair::{AcquireError, Semaphore, TryAcquireError};
use tokio_test::{assert_ready_err, task};

/// The texts of an error as a caller sees it, behind `dyn Error`.
fn texts(error: impl Error + Send + Sync + 'static) -> (String, String) {
    let error: Box<dyn Error + Send + Sync> = Box::new(error);
    assert!(error.source().is_none());
    (error.to_string(), format!("{error:?}"))
}

#[test]
fn acquire_error() {
    let sem = Semaphore::new(1);
    sem.close();
    let error: AcquireError = assert_ready_err!(task::spawn(sem.acquire()).poll());
    let (display, debug) = texts(error);
    assert_eq!(display, "semaphore closed");
    assert!(debug.contains("AcquireError"));
}

#[test]
fn try_acquire_error_closed() {
    let sem = Semaphore::new(1);
    sem.close();
    let (display, debug) = texts(sem.try_acquire().unwrap_err());
    assert_eq!(display, "semaphore closed");
    assert_eq!(debug, "Closed");
}

#[test]
fn try_acquire_error_no_permits() {
    let sem = Semaphore::new(1);
    let (display, debug) = texts(sem.try_acquire_many(2).unwrap_err());
    assert_eq!(display, "no permits available");
    assert_eq!(debug, "NoPermits");
}

/// Compiles only for a type whose values can be compared.
fn equal<T: Eq>(a: &T, b: &T) -> bool {
    a == b
}

#[test]
fn try_acquire_errors_compare() {
    assert!(equal(&TryAcquireError::Closed, &TryAcquireError::Closed));
    assert!(equal(&TryAcquireError::NoPermits, &TryAcquireError::NoPermits));
    assert!(!equal(&TryAcquireError::Closed, &TryAcquireError::NoPermits));
}

#[test]
fn try_acquire_errors_are_all_of_them() {
    let sem = Semaphore::new(0);
    // Without a wildcard: a third kind would be a change that callers see.
    let word = match sem.try_acquire().unwrap_err() {
        TryAcquireError::Closed => "closed",
        TryAcquireError::NoPermits => "no permits",
    };
    assert_eq!(word, "no permits");
}

#[test]
fn closed_comes_before_no_permits() {
    let sem = Semaphore::new(0);
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    sem.close();
    assert_eq!(sem.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn too_many_permits_error() {
    let sem = Semaphore::new(Semaphore::MAX_PERMITS);
    let (display, debug) = texts(sem.try_add_permits(1).unwrap_err());
    assert_eq!(display, "too many permits");
    assert!(debug.contains("TooManyPermitsError"));
}
