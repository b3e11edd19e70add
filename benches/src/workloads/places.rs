//! Where futures wait.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use super::poll;

/// Places for futures, made once: a future that may not move while it waits is put into its place
/// and dropped there, and no round pays for a box.
#[derive(Debug)]
pub struct Places<F>(Vec<Pin<Box<Option<F>>>>);

impl<F: Future> Places<F> {
    /// Makes so many places.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self((0..count).map(|_| Box::pin(None)).collect())
    }

    /// Fills each place, from the first to the last, with a future that waits.
    ///
    /// # Panics
    ///
    /// If one is ready.
    #[inline]
    pub fn fill(&mut self, future: impl Fn() -> F) {
        for place in &mut self.0 {
            place.set(Some(future()));
            let waiter = place.as_mut().as_pin_mut().expect("it was just set");
            assert!(poll(waiter).is_pending(), "there is no permit");
        }
    }

    /// Drops the future in a place.
    #[inline]
    pub fn cancel(&mut self, index: usize) {
        self.0[index].set(None);
    }

    /// Takes what the future in a place has got, and drops that future.
    ///
    /// # Panics
    ///
    /// If it still waits.
    #[inline]
    pub fn take(&mut self, index: usize) -> F::Output {
        let place = &mut self.0[index];
        let waiter = place.as_mut().as_pin_mut().expect("somebody waits here");
        let Poll::Ready(granted) = poll(waiter) else {
            panic!("a permit was released, and the first in line did not get it");
        };
        place.set(None);
        granted
    }

    /// Empties all places.
    pub fn clear(&mut self) {
        for place in &mut self.0 {
            place.set(None);
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
