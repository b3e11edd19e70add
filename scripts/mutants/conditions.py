"""Mutants with another condition, operator or result; made and run by cargo-mutants.

.cargo/mutants.toml says which files are changed.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import working_copy
from models import LOOM
from mutant import Mutant, TestsFail, named
from working_copy import OUT, ROOT

VERSION = "27.1.0"
VARIABLES = {
    "CARGO_TARGET_DIR": str(ROOT / "target"),
    # The tests' own limit is for a quick machine. cargo-mutants measures how long they take here.
    "SEMAFAIR_LIMIT": "600",
}
CARGO_MUTANTS = ROOT / "target/tools/bin/cargo-mutants"


@dataclass(frozen=True)
class Stage:
    """Some of the tests. Each stage runs on the mutants that the stages before have left."""

    title: str
    arguments: str
    variables: dict[str, str] = field(default_factory=dict)


STAGES = [
    Stage("white-box tests", "--lib"),
    Stage("tests", "--test it --test memory -- --skip bank --skip races --skip stress --skip tidy"),
    Stage("loom, two cells", "--release --lib", LOOM),
    Stage("loom, one cell", "--release --lib", {**LOOM, "SEMAFAIR_ONE_CELL": "1"}),
]


def install() -> None:
    """Installs cargo-mutants below target/, if it is not there."""
    if CARGO_MUTANTS.exists():
        return
    # It is built fast, not built to be fast: the tests take nearly all the time.
    quick = {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "0", "CARGO_PROFILE_RELEASE_LTO": "off"}
    command = f"cargo install --locked --root {ROOT}/target/tools cargo-mutants@{VERSION}"
    subprocess.run(command.split(), check=True, env={**os.environ, **quick})


def cargo_mutants(root: Path) -> list[str | Path]:
    """Returns the start of each command line of cargo-mutants."""
    return [CARGO_MUTANTS, "mutants", "--dir", root, "--colors", "never"]


def find() -> list[Mutant]:
    """Asks cargo-mutants for the mutants of the checkout."""
    install()
    listed = subprocess.check_output([*cargo_mutants(ROOT), "--list", "--json"], text=True)
    return parse(listed)


def parse(listed: str) -> list[Mutant]:
    """Reads the list that cargo-mutants prints, in JSON."""
    found = []
    for item in json.loads(listed):
        place = re.fullmatch(r"(.*?):(\d+):\d+: (.*)", item["name"])
        assert place, f"cargo-mutants names a mutant in a new way: {item['name']}"
        found.append((place[1], int(place[2]), place[3], item["name"]))
    return named(found)


def survivors(mutants: Sequence[Mutant], _jobs: int) -> tuple[list[Mutant], list[Mutant]]:
    """Runs the tests on each mutant. Returns those that survive, and those that do not compile."""
    copy = working_copy.make("conditions")
    by_key = {mutant.key: mutant for mutant in mutants}
    left, invalid = list(mutants), []
    for stage in STAGES:
        if not left:
            break
        print(f"--- {stage.title}", flush=True)
        results = run(stage, copy, left)
        # A mutant on which a test never ends is killed, too.
        for key in results["timeout"]:
            print(f"{by_key[key]}: killed by the time limit")
        invalid += [by_key[key] for key in results["unviable"]]
        left = [by_key[key] for key in results["missed"]]
    return left, invalid


def run(stage: Stage, copy: Path, mutants: Sequence[Mutant]) -> dict[str, list[str]]:
    """Runs the tests of one stage on each mutant. Returns the keys of the mutants by result."""
    output = OUT / "conditions.out" / stage.title
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    these = [word for mutant in mutants for word in ("--re", f"^{re.escape(mutant.key)}$")]
    status = subprocess.run(
        [
            *cargo_mutants(copy),
            *("--in-place", "--output", output),
            *these,
            *("--", *stage.arguments.split()),
        ],
        env={**VARIABLES, **os.environ, **stage.variables},
        check=False,
    ).returncode
    if status == 4:
        raise TestsFail(f"these tests fail without a mutant: {stage.title}")
    # 2: a mutant has survived. 3: a time limit has ended a test.
    assert status in (0, 2, 3), f"cargo-mutants ended with {status}"
    kinds = ("timeout", "unviable", "missed")
    return {kind: (output / f"mutants.out/{kind}.txt").read_text().splitlines() for kind in kinds}
