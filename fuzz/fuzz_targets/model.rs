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
use plain::Setup;

/// One byte for how it is made, and then two for each step.
struct Program {
    setup: Setup,
    steps: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let setup = u8::arbitrary(bytes)?.into();
        let (steps, _) = bytes.bytes(bytes.len())?.as_chunks();
        Ok(Self { setup, steps: steps.iter().copied().map(Op::from).collect() })
    }
}

/// As the tests print it, to be pasted there.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run({:?}, &{:?})", self.setup, self.steps)
    }
}

fuzz_target!(|program: Program| run(program.setup, &program.steps));
