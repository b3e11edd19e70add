//! A box that is made when it is first needed.

#![expect(unsafe_code, reason = "follows and frees the box")]
#![expect(clippy::disallowed_methods, reason = "takes back the box that it made")]

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr;

use super::{AcqRel, Acquire, AtomicU64, Relaxed, const_fn};

/// The mark of a number that stands there instead of an address, as no box was made yet. No `T` of
/// ours lies at an address with this bit.
const SEED: u64 = 1;

#[expect(clippy::cast_possible_truncation, reason = "it was a `usize` before")]
fn address(word: u64) -> usize {
    word as usize
}

/// A box that is made when it is first needed. Until then, a number stands in its place: its *seed*, from
/// which the value is made.
///
/// The seed is there to save space: it is known when a `static` is made, which cannot allocate.
#[derive(Debug)]
pub(crate) struct LazyBox<T> {
    /// An address whose provenance is exposed, or the seed with its marks.
    word: AtomicU64,
    owns: PhantomData<Box<T>>,
}

impl<T: Send + Sync> LazyBox<T> {
    const_fn! {
        /// The seed has 63 bits.
        pub(crate) const fn new(seed: u64) -> Self {
            Self { word: AtomicU64::new(seed << 1 | SEED), owns: PhantomData }
        }
    }

    #[inline]
    fn follow(&self, word: u64) -> Option<&T> {
        // SAFETY: it has no mark, so `init` has set it to the address of a box, which it exposed,
        // and which only `drop` frees.
        (word & SEED == 0).then(|| unsafe { &*ptr::with_exposed_provenance::<T>(address(word)) })
    }

    /// The value, if it was made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire. Pairs with `init`: it is seen initialised.
        self.follow(self.word.load(Acquire))
    }

    /// The value, or the seed if it was not made.
    pub(crate) fn get_or_seed(&self) -> Result<&T, u64> {
        // ORDERING: Acquire, as in `get`.
        let word = self.word.load(Acquire);
        self.follow(word).ok_or(word >> 1)
    }

    /// The value, which `init` makes of the seed if it was not made yet.
    #[inline]
    pub(crate) fn get_or_init(&self, init: impl FnOnce(u64) -> T) -> &T {
        match self.get() {
            None => self.init(init),
            Some(made) => made,
        }
    }

    #[cold]
    fn init(&self, init: impl FnOnce(u64) -> T) -> &T {
        let seed = match self.get_or_seed() {
            Ok(made) => return made,
            Err(seed) => seed,
        };
        let new = Box::into_raw(Box::new(init(seed)));
        let word = new.expose_provenance() as u64;
        debug_assert_eq!(word & SEED, 0, "a box at an odd address");
        // ORDERING: AcqRel. Release pairs with `get`. Failure: Acquire, as in `get`.
        let now = match self.word.compare_exchange(seed << 1 | SEED, word, AcqRel, Acquire) {
            Ok(_) => word,
            Err(now) => {
                // SAFETY: it was made above, and no other thread has seen it.
                drop(unsafe { Box::from_raw(new) });
                now
            }
        };
        match self.follow(now) {
            Some(made) => made,
            None => unreachable!("a box was made"),
        }
    }
}

impl<T> Drop for LazyBox<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. `&mut self`: nobody else is there.
        let word = self.word.load(Relaxed);
        if word & SEED == 0 {
            let pointer = ptr::with_exposed_provenance_mut::<T>(address(word));
            // SAFETY: `init` has set it, and this is its only owner.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
