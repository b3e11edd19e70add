//! The programs of `tests/it/model.rs`, made up by libFuzzer; see `scripts/fuzz`.

#![no_main]

#[path = "../../tests/it/model/driver.rs"]
mod driver;
#[path = "../../tests/it/model/plain.rs"]
mod plain;
#[path = "../../tests/it/support"]
mod support {
    pub(crate) mod wakes;
}

use std::fmt;

use driver::{Op, run};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;

/// One byte for the permits, and then two for each step.
struct Program {
    permits: u8,
    steps: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let permits = u8::arbitrary(bytes)? % 8;
        let (steps, _) = bytes.bytes(bytes.len())?.as_chunks();
        Ok(Self { permits, steps: steps.iter().copied().map(Op::from).collect() })
    }
}

/// As the tests print it, to be pasted there.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run({}, &{:?})", self.permits, self.steps)
    }
}

fuzz_target!(|program: Program| run(program.permits, &program.steps));
