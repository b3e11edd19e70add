"""The loom models: built once with all mutants in them, and run for one mutant at a time."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from mutant import Mutant, TestsFail
from working_copy import OUT, ROOT

# As in scripts/loom, so that the dependencies are built once for both.
LOOM = {
    "CARGO_TARGET_DIR": str(ROOT / "target/loom"),
    "RUSTFLAGS": "--cfg semafair_loom",
}
# Segments of one cell. Without it, they have two.
ONE_CELL = {"SEMAFAIR_ONE_CELL": "1"}
PREEMPTIONS = int(os.environ.get("LOOM_MAX_PREEMPTIONS", "2"))


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


def build(copy: Path, name: str, variables: Mapping[str, str]) -> Program:
    """Builds the models of a working copy."""
    output = subprocess.check_output(
        "cargo test --package semafair --release --lib --no-run --locked --message-format=json-render-diagnostics".split(),
        cwd=copy,
        env={**os.environ, **LOOM, **variables},
    )
    (built,) = filter(None, (json.loads(line).get("executable") for line in output.splitlines()))
    # The next build would overwrite it.
    path = Path(shutil.copy(built, OUT / (f"models-{name}")))
    listed = subprocess.check_output([path, "--list", "--format=terse"], text=True)
    return Program(path, re.findall(r"^(.*): test$", listed, flags=re.MULTILINE))


def survivors(
    copy: Path, mutants: Sequence[Mutant], jobs: int, variables: Mapping[str, str] = MappingProxyType({})
) -> list[Mutant]:
    """Runs the models of a working copy on each mutant in it. Returns the mutants that no model fails on.

    `variables` are for the compiler.
    """
    left = list(mutants)
    for one in rounds(copy, jobs, variables):
        left = one.survivors(left, jobs)
        if not left:
            break
    return left


def failure(copy: Path, jobs: int) -> str:
    """Returns which model of a working copy fails as it is, or nothing."""
    try:
        for _ in rounds(copy, jobs, {}):
            pass
    except TestsFail as failed:
        return str(failed)
    return ""


def rounds(copy: Path, jobs: int, variables: Mapping[str, str]) -> Iterator["Round"]:
    """Runs the models of a working copy without a mutant, in one round after the other."""
    programs = {
        "two cells": build(copy, "two-cells", variables),
        "one cell": build(copy, "one-cell", {**variables, **ONE_CELL}),
    }
    # Most mutants fail with a single preemption already, which takes a fraction of the time.
    for preemptions in sorted({1, PREEMPTIONS}):
        for cells, program in programs.items():
            print(f"--- segments of {cells}, {preemptions} preemptions", flush=True)
            yield Round(program, preemptions, jobs)


class Round:
    """The models of one program with one bound on preemptions."""

    def __init__(self, program: Program, preemptions: int, jobs: int) -> None:
        self.program = program
        self.preemptions = preemptions
        # The models that need the fences. The others run without them: a fence stands for accesses
        # that are SeqCst outside of loom, but it orders more than those do, so it would hide that
        # another ordering is too weak.
        self.fenced: set[str] = set()
        # In seconds, without a mutant.
        self.times: dict[str, float] = {}
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(self.prepare, program.models):
                pass  # This raises what was raised there.
        # In the order to be tried: fast ones first.
        self.order = sorted(program.models, key=self.times.__getitem__)
        print(f"{len(self.order)} models, {sum(self.times.values()):.0f} s", flush=True)

    def prepare(self, model: str) -> None:
        """Runs a model on the unchanged code: finds out how long it takes, and if it needs the fences."""
        for fences in False, True:
            start = time.monotonic()
            verdict = self.program.run(model, preemptions=self.preemptions, fences=fences)
            self.times[model] = time.monotonic() - start
            if verdict is Verdict.HELD:
                return
            self.fenced.add(model)
        raise TestsFail(f"the model {model} fails without a mutant")

    def kills(self, mutant: Mutant) -> bool:
        """Runs the models on a mutant until one fails, and prints which one that is."""
        without_fence = mutant.key.endswith("nothing")
        for model in list(self.order):
            verdict = self.program.run(
                model,
                preemptions=self.preemptions,
                fences=without_fence or model in self.fenced,
                mutant=mutant.key,
                # A weaker ordering makes no endless loop, but may allow many more interleavings.
                limit=60 + 20 * self.times[model],
            )
            if verdict is Verdict.FAILED:
                # It is likely to fail on the next mutant too, which is often close to this one.
                self.order.insert(0, self.order.pop(self.order.index(model)))
                print(f"{mutant}: killed by {model}", flush=True)
                return True
        print(f"{mutant}: survived", flush=True)
        return False

    def survivors(self, mutants: Sequence[Mutant], jobs: int) -> list[Mutant]:
        """Returns the mutants that no model fails on."""
        with ThreadPoolExecutor(jobs) as pool:
            return [
                mutant
                for mutant, killed in zip(mutants, pool.map(self.kills, mutants), strict=True)
                if not killed
            ]
