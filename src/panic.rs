//! Panics of user code, which must not keep the rest of an operation from being done.
//!
//! To catch one takes the standard library. Without it, a panic of user code ends the process.

#[cfg(any(test, feature = "std"))]
pub(crate) use self::caught::{Panic, catch};
#[cfg(not(any(test, feature = "std")))]
pub(crate) use self::fatal::{Panic, catch};

#[cfg(any(test, feature = "std"))]
mod caught {
    use alloc::boxed::Box;
    use core::any::Any;
    use core::mem;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::thread;

    /// A panic that was caught.
    #[derive(Debug)]
    pub(crate) struct Panic(Box<dyn Any + Send>);

    /// Runs user code.
    ///
    /// What user code leaves behind when it panics is its own: nothing of ours was lent to it.
    #[inline]
    pub(crate) fn catch(user_code: impl FnOnce()) -> Result<(), Panic> {
        catch_unwind(AssertUnwindSafe(user_code)).map_err(Panic)
    }

    impl Panic {
        /// Goes on with it, unless the thread is panicking already: a second panic would abort. The
        /// panic hook has reported both.
        #[cold]
        pub(crate) fn pass_on(self) {
            if thread::panicking() {
                self.swallow();
            } else {
                resume_unwind(self.0);
            }
        }

        /// Forgets it. Dropping the payload may panic as well, so that is leaked.
        pub(crate) fn swallow(self) {
            mem::forget(self.0);
        }
    }
}

#[cfg(not(any(test, feature = "std")))]
mod fatal {
    use core::mem;

    /// There is none: the process has ended.
    #[derive(Debug)]
    pub(crate) enum Panic {}

    /// A panic while another one unwinds ends the process.
    struct Fatal;

    impl Drop for Fatal {
        fn drop(&mut self) {
            panic!("a waker panicked, and semafair was built without its feature `std`");
        }
    }

    /// Runs user code.
    #[inline]
    pub(crate) fn catch(user_code: impl FnOnce()) -> Result<(), Panic> {
        let fatal = Fatal;
        user_code();
        mem::forget(fatal);
        Ok(())
    }

    impl Panic {
        pub(crate) fn pass_on(self) {
            match self {}
        }

        pub(crate) fn swallow(self) {
            match self {}
        }
    }
}
