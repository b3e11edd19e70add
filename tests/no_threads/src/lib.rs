//! What `blocking_*` does on a target without threads. `../run.mjs` calls it.

use std::panic::set_hook;

use semafair::Semaphore;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Receives the message of a panic, of `length` bytes of UTF-8.
    fn panicked(message: *const u8, length: usize);
}

/// Says whether all free permits are granted.
#[unsafe(no_mangle)]
pub extern "C" fn takes_what_is_free() -> bool {
    let semaphore = Semaphore::new(2);
    semaphore.blocking_acquire_many(2).is_ok() && semaphore.blocking_acquire().is_ok()
}

/// Says whether a closed semaphore refuses.
#[unsafe(no_mangle)]
pub extern "C" fn is_refused_when_closed() -> bool {
    let semaphore = Semaphore::new(0);
    semaphore.close();
    semaphore.blocking_acquire().is_err()
}

/// Panics, since nothing could ever end the wait.
#[unsafe(no_mangle)]
pub extern "C" fn waits() {
    set_hook(Box::new(|panic| {
        let message = panic.to_string();
        // SAFETY: `message` lives until the call returns, and the host only reads it.
        unsafe { panicked(message.as_ptr(), message.len()) };
    }));
    drop(Semaphore::new(1).blocking_acquire_many(2));
}
