//! Limits that cannot be reached from outside.
