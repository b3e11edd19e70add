//! Threads that are stopped for ever.
