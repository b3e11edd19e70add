//! A program without the standard library that waits for permits, cancels, closes and drains. It is linked
//! with the C library, which allocates.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::future::Future;
use core::panic::PanicInfo;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use alloc::task::Wake;
use semafair::{Semaphore, TryAcquireError};

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    fn abort() -> !;
}

struct C;

// SAFETY: `aligned_alloc` and `free` do what is asked of an allocator.
unsafe impl GlobalAlloc for C {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align().max(align_of::<usize>());
        // SAFETY: a power of two, and a multiple of it.
        unsafe { aligned_alloc(align, layout.size().next_multiple_of(align)) }.cast()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        // SAFETY: it came from `alloc`.
        unsafe { free(pointer.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: C = C;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it takes nothing.
    unsafe { abort() }
}

/// The libraries of Rust name it, also where nothing unwinds.
// SAFETY: nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// How often a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: it is the `main` of the C library, and there is no other.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let semaphore = Semaphore::builder(2).name("tellers").build();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);

    let both = semaphore.try_acquire_many(2).unwrap();
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    {
        let mut canceled = pin!(semaphore.acquire_many(2));
        assert!(canceled.as_mut().poll(&mut cx).is_pending());
    }
    let mut next = pin!(semaphore.acquire());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    drop(both);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Ok(permit)) = next.as_mut().poll(&mut cx) else { panic!("it was served") };

    let mut drained = pin!(semaphore.drained());
    semaphore.close();
    assert!(drained.as_mut().poll(&mut cx).is_pending());
    drop(permit);
    assert!(drained.as_mut().poll(&mut cx).is_ready());
    let mut late = pin!(semaphore.acquire());
    assert!(matches!(late.as_mut().poll(&mut cx), Poll::Ready(Err(error)) if error.is_closed()));
    0
}
