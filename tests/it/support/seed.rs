//! Where chance comes from. Shared with the white-box tests.

/// The seed of this test: from `SEMAFAIR_SEED`, or a fresh one. libtest shows it if the test fails.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("SEMAFAIR_SEED") {
        Ok(seed) => seed.parse().expect("SEMAFAIR_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("SEMAFAIR_SEED={seed}");
    seed
}
