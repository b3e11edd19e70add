"""Mutants with another condition, operator or result; found by cargo-mutants.

.cargo/mutants.toml says which files are changed. Most mutants are in one program (see `schemata`), which is
built once. Those that cannot be there, and those that no test asks for, are built one by one.
"""

import functools
import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import models
import schemata
import tests_run
import working_copy
from mutant import Mutant, TestsFail, named
from tests_run import DoesNotCompile, Tests
from working_copy import OUT, ROOT

VERSION = "27.1.0"
VARIABLES = {"CARGO_TARGET_DIR": str(ROOT / "target")}
CARGO_MUTANTS = ROOT / "target/tools/bin/cargo-mutants"


def install() -> None:
    """Installs cargo-mutants below target/, if it is not there."""
    if CARGO_MUTANTS.exists():
        return
    # It is built fast, not built to be fast: the tests take nearly all the time.
    quick = {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "0", "CARGO_PROFILE_RELEASE_LTO": "off"}
    command = f"cargo install --locked --root {ROOT}/target/tools cargo-mutants@{VERSION}"
    subprocess.run(command.split(), check=True, env={**os.environ, **quick})


def find() -> list[Mutant]:
    """Asks cargo-mutants for the mutants of the checkout."""
    install()
    return parse(listed())


@functools.cache
def listed() -> str:
    """Returns the list that cargo-mutants prints, in JSON."""
    command = [CARGO_MUTANTS, "mutants", "--dir", ROOT, "--colors", "never", "--list", "--json"]
    return subprocess.check_output(command, text=True)


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
    others, more = survivors_alone(alone, jobs)
    return left + others, invalid + more


def survivors_alone(mutants: Sequence[Mutant], jobs: int) -> tuple[list[Mutant], list[Mutant]]:
    """Does the same with mutants that are built one by one."""
    if not mutants:
        return [], []
    alone = Alone()
    left, invalid = [], []
    print(f"--- {len(mutants)} mutants, built one by one", flush=True)
    for mutant in mutants:
        try:
            killed = alone.killed(mutant, jobs)
        except DoesNotCompile:
            invalid.append(mutant)
            print(f"{mutant}: does not compile", flush=True)
            continue
        print(f"{mutant}: {f'killed by {killed}' if killed else 'survived'}", flush=True)
        if not killed:
            left.append(mutant)
    return left, invalid


class Alone:
    """A working copy that is one mutant after the other."""

    def __init__(self) -> None:
        self.copy = working_copy.make("alone")
        self.items = {item["name"]: item for item in json.loads(listed())}
        programs = {name: self.build(name) for name in BUILDS}
        self.tests = [(name, Tests(programs[name], arguments, self.copy / at)) for name, at, arguments in RUNS]
        for _, one in self.tests:
            one.measure()

    def build(self, name: str) -> Path:
        """Builds one of the programs of tests."""
        return tests_run.build(self.copy, BUILDS[name], VARIABLES)[name]

    def killed(self, mutant: Mutant, jobs: int) -> str:
        """Returns what fails on a mutant, or nothing."""
        item = self.items[mutant.key]
        file = self.copy / item["file"]
        # As if each byte were a character: the compiler counts in bytes.
        text = file.read_text(encoding="latin-1")
        start, end = schemata.place(text, item["span"])
        file.write_text(text[:start] + item["replacement"] + text[end:], encoding="latin-1")
        try:
            return self.fails() or models.failure(self.copy, jobs)
        finally:
            file.write_text(text, encoding="latin-1")

    def fails(self) -> str:
        """Returns which test fails now. What is not run is not built."""
        built = set()
        for name, one in self.tests:
            if name not in built:
                self.build(name)
                built.add(name)
            if failed := one.run(one.limit(), {"SEMAFAIR_LIMIT": "600"}):
                return failed
        return ""
