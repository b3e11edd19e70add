"""Mutants with another condition, operator or result; found by cargo-mutants.

.cargo/mutants.toml says which files are changed. Most mutants are in one program (see `schemata`), which is
built once. Those that cannot be there, and those that no test asks for, cargo-mutants builds one by one.
"""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import models
import schemata
import tests_run
import working_copy
from models import LOOM, ONE_CELL
from mutant import Mutant, TestsFail, named
from tests_run import DoesNotCompile, Tests
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
    Stage("white-box tests", "--package semafair --lib"),
    Stage("tests", "--package semafair-tests --test it --test memory -- --skip bank --skip races --skip stress --skip tidy"),
    Stage("loom, two cells", "--package semafair --release --lib", LOOM),
    Stage("loom, one cell", "--package semafair --release --lib", {**LOOM, **ONE_CELL}),
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
    return parse(listed())


@functools.cache
def listed() -> str:
    """Returns the list that cargo-mutants prints, in JSON."""
    return subprocess.check_output([*cargo_mutants(ROOT), "--list", "--json"], text=True)


def parse(text: str) -> list[Mutant]:
    """Reads the list that cargo-mutants prints."""
    found = []
    for item in json.loads(text):
        place = re.fullmatch(r"(.*?):(\d+):\d+: (.*)", item["name"])
        assert place, f"cargo-mutants names a mutant in a new way: {item['name']}"
        found.append((place[1], int(place[2]), place[3], item["name"]))
    return named(found)


# What is built, and what each program is called.
BUILDS = {
    "semafair": "--package semafair --lib",
    "it": "--package semafair-tests --test it",
    "memory": "--package semafair-tests --test memory",
}
# These white-box tests take seconds, and the others less than one altogether.
SLOW = ["stalled", "limit_programs", "limit_triples"]
# Some of the tests of a program, and the folder that they run in. What kills many mutants fast comes first.
RUNS = [
    ("semafair", ".", [word for name in SLOW for word in ("--skip", name)]),
    ("it", "tests", "--skip bank --skip races --skip stress --skip tidy".split()),
    ("memory", "tests", []),
    ("semafair", ".", SLOW),
]


class Together:
    """A working copy that is many mutants at once."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self.copy = working_copy.make("together")
        items = {item["name"]: item for item in json.loads(listed())}
        self.numbers = {mutant.key: number for number, mutant in enumerate(mutants)}
        self.items = [(number, items[key]) for key, number in self.numbers.items()]
        # As if each byte were a character: the compiler counts in bytes.
        self.original = {
            file: (self.copy / file).read_text(encoding="latin-1")
            for file in sorted({item["file"] for _, item in self.items})
        }
        self.out: set[int] = set()
        self.invalid: set[int] = set()
        (self.copy / "src/mutant.rs").write_text(schemata.SWITCH.replace("COUNT", str(len(mutants) or 1)))
        self.write()
        lib = self.copy / "src/lib.rs"
        lib.write_text(schemata.LIB[0] + lib.read_text() + schemata.LIB[1])

    def write(self) -> None:
        """Writes the files, with all mutants in them that are not out."""
        self.parts = {}
        items = [(number, item) for number, item in self.items if number not in self.out]
        for file, text in self.original.items():
            changes = schemata.by_file(items, self.original).get(file, [])
            writer = schemata.Writer(text, changes)
            self.out |= set(writer.apart)
            self.parts[file] = writer.parts
            (self.copy / file).write_text(str(writer), encoding="latin-1")

    def is_evaluated_early(self, mutant: Mutant) -> bool:
        """Returns whether the compiler may evaluate the function, with checks that may fail then."""
        item = self.items[self.numbers[mutant.key]][1]
        text = self.original[item["file"]]
        start, _ = schemata.place(text, item["function"]["span"])
        return bool(re.match(r"(?:pub(?:\([^)]*\))? )?const fn", text[start:]))

    def build(self, arguments: str) -> dict[str, Path]:
        """Builds tests. Leaves out the mutants with which that is not possible."""
        while True:
            try:
                return tests_run.build(self.copy, arguments, {**VARIABLES, **schemata.VARIABLES})
            except DoesNotCompile as error:
                wrong = schemata.blamed(self.parts, error.errors)
                if not wrong:
                    raise TestsFail(f"the mutants do not compile, and it is not clear which:\n{error}") from error
                print(f"{len(error.errors)} errors in {len(wrong)} mutants", flush=True)
                self.out |= set(wrong)
                self.invalid |= {number for number, invalid in wrong.items() if invalid}
                self.write()


def survivors(mutants: Sequence[Mutant], jobs: int) -> tuple[list[Mutant], list[Mutant]]:
    """Runs the tests on each mutant. Returns those that survive, and those that do not compile."""
    together = Together(mutants)
    # A mutant that one of them cannot be built with is to be in none: so what was built is built again.
    programs = {name: together.build(arguments) for _ in range(2) for name, arguments in BUILDS.items()}
    asked = OUT / "asked.txt"
    asked.unlink(missing_ok=True)
    tests = [Tests(programs[name][name], arguments, together.copy / at) for name, at, arguments in RUNS]
    for one in tests:
        one.prepare(asked)
    seen = {int(line) for line in asked.read_text().split()} - together.out
    left = [mutant for mutant in mutants if together.numbers[mutant.key] in seen]
    invalid = [mutant for mutant in mutants if together.numbers[mutant.key] in together.invalid]
    alone = [mutant for mutant in mutants if mutant not in left and mutant not in invalid]
    print(f"{len(left)} mutants in one program; {len(invalid)} do not compile", flush=True)
    for mutant in alone:
        print(f"{mutant}: is built by itself")
    for one in tests:
        print(f"--- {one}: {len(left)} mutants", flush=True)
        left = one.survivors(left, together.numbers, jobs)
    if left:
        numbered = {mutant: replace(mutant, key=str(together.numbers[mutant.key])) for mutant in left}
        survived = models.survivors(together.copy, list(numbered.values()), jobs, schemata.VARIABLES)
        left = [mutant for mutant in left if numbered[mutant] in survived]
    alone += [mutant for mutant in left if together.is_evaluated_early(mutant)]
    left = [mutant for mutant in left if mutant not in alone]
    others, more = survivors_alone(alone)
    return left + others, invalid + more


def survivors_alone(mutants: Sequence[Mutant]) -> tuple[list[Mutant], list[Mutant]]:
    """Does the same with mutants that are built one by one."""
    copy = working_copy.make("conditions")
    by_key = {mutant.key: mutant for mutant in mutants}
    left, invalid = list(mutants), []
    for stage in STAGES:
        if not left:
            break
        print(f"--- {stage.title}: {len(left)} mutants, built one by one", flush=True)
        results = run(stage, copy, left)
        # A mutant on which a test never ends is killed, too.
        for key in results["timeout"]:
            print(f"{by_key[key]}: killed by the time limit")
        for key in results["unviable"]:
            print(f"{by_key[key]}: does not compile")
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
