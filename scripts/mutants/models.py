"""The loom models: built once with all mutants in them, and run for one mutant at a time."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from working_copy import OUT, ROOT

# As in scripts/loom, so that the dependencies are built once for both.
LOOM = {
    "CARGO_TARGET_DIR": str(ROOT / "target/loom"),
    "RUSTFLAGS": "--cfg semafair_loom",
}
PREEMPTIONS = int(os.environ.get("LOOM_MAX_PREEMPTIONS", "2"))

# The module that the mutated code asks which mutant it is.
SWITCH = """\
//! Which mutant this is: the variable MUTANT gives the number of a place, and its new ordering.
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::sync::LazyLock;

static MUTANT: LazyLock<Option<(usize, Ordering)>> = LazyLock::new(|| {
    let mutant = std::env::var("MUTANT").ok()?;
    let (place, to) = mutant.split_once(' ')?;
    let to = match to {
        "Acquire" => Acquire,
        "Release" => Release,
        _ => Relaxed,
    };
    Some((place.parse().unwrap(), to))
});

pub(crate) fn ordering(place: usize, original: Ordering) -> Ordering {
    MUTANT.filter(|mutant| mutant.0 == place).map_or(original, |mutant| mutant.1)
}

static FENCES: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FENCES").is_some());

pub(crate) fn dekker(place: usize) {
    if *FENCES && MUTANT.is_none_or(|mutant| mutant.0 != place) {
        crate::sync::dekker();
    }
}
"""


class Verdict(Enum):
    """How the run of a model ended."""

    HELD = "held"
    FAILED = "failed"
    TOO_LONG = "took too long"


@dataclass(frozen=True)
class Program:
    """The models as one executable file."""

    path: Path
    models: list[str]

    def run(
        self, model: str, *, preemptions: int, fences: bool, mutant: str = "", limit: float | None = None
    ) -> Verdict:
        """Runs one model on one mutant, or on the unchanged code if none is named.

        `limit` is in seconds.
        """
        variables = {"MUTANT": mutant, "LOOM_MAX_PREEMPTIONS": str(preemptions)}
        if fences:
            variables["FENCES"] = "1"
        try:
            run = subprocess.run(
                [self.path, "--exact", model],
                env={**os.environ, **variables},
                timeout=limit,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict.TOO_LONG
        return Verdict.FAILED if run.returncode else Verdict.HELD


def build(copy: Path, *, one_cell: bool) -> Program:
    """Builds the models of a working copy, with segments of two cells or of one."""
    variables = {**LOOM, **({"SEMAFAIR_ONE_CELL": "1"} if one_cell else {})}
    output = subprocess.check_output(
        "cargo test --release --lib --no-run --locked --message-format=json-render-diagnostics".split(),
        cwd=copy,
        env={**os.environ, **variables},
    )
    (built,) = filter(None, (json.loads(line).get("executable") for line in output.splitlines()))
    # The next build would overwrite it.
    path = Path(shutil.copy(built, OUT / ("models-one-cell" if one_cell else "models-two-cells")))
    listed = subprocess.check_output([path, "--list", "--format=terse"], text=True)
    return Program(path, re.findall(r"^(.*): test$", listed, flags=re.MULTILINE))
