"""Mutants with a weaker ordering, or without a fence; the loom models are to fail on them."""

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import models
import rust_source
import working_copy
from models import Program, Verdict
from mutant import Mutant, TestsFail, named

# No memory orderings of the library, but what its atomics and its tests are made of.
SKIPPED = re.compile(r"src/(?:.*/)?tests(?:/.*|\.rs)|src/sync/(?:mod\.rs|probe/.*)")

# The weaker orderings of each. Loom treats SeqCst accesses as AcqRel, so no model could tell the two
# apart. What needs the total order of SeqCst has a fence beside it for loom: `dekker()`.
WEAKER = {
    ("read", "SeqCst"): ["Relaxed"],
    ("read", "Acquire"): ["Relaxed"],
    ("write", "SeqCst"): ["Relaxed"],
    ("write", "Release"): ["Relaxed"],
    ("both", "SeqCst"): ["Acquire", "Release", "Relaxed"],
    ("both", "AcqRel"): ["Acquire", "Release", "Relaxed"],
    ("both", "Acquire"): ["Relaxed"],
    ("both", "Release"): ["Relaxed"],
}
PLACE = re.compile(r"(?<=[(\s])(AcqRel|Acquire|Release|SeqCst)(?=[,)])|\bdekker\(\)")
FENCE = "dekker()"


def role(only_code: str, start: int) -> str:
    """Returns whether the ordering that begins here is that of a read, of a write, or of both."""
    method = rust_source.called_at(only_code, start)
    if method in ("load", "store"):
        return {"load": "read", "store": "write"}[method]
    # Of two orderings, the second is for a failure, which only reads.
    before = only_code[:start].rstrip()
    return "read" if re.search(r"\b(Relaxed|Acquire|Release|AcqRel|SeqCst),$", before) else "both"


def mutate(file: str, text: str, first: int) -> tuple[str, list[tuple[str, int, str, str]]]:
    """Makes each ordering and fence of a file ask the module `mutant` what to be.

    Returns the new text, and (file, line, change, key) of each mutant. The places are numbered from
    `first` on; a key is the number of the place and the new ordering.
    """
    only_code = rust_source.code(text)
    found, parts, end = [], [], 0
    for number, match in enumerate(PLACE.finditer(only_code), first):
        if match[0] == FENCE:
            weaker, now = ["nothing"], f"crate::mutant::dekker({number})"
        else:
            weaker = WEAKER[role(only_code, match.start()), match[0]]
            now = f"crate::mutant::ordering({number}, {match[0]})"
        line = only_code.count("\n", 0, match.start()) + 1
        where = rust_source.function_at(only_code, match.start())
        found += [(file, line, f"{match[0]} -> {to} in {where}", f"{number} {to}") for to in weaker]
        parts += [text[end : match.start()], now]
        end = match.end()
    return "".join([*parts, text[end:]]), found


def mutate_all(root: Path) -> Iterator[tuple[str, str, list[tuple[str, int, str, str]]]]:
    """Returns (file, new text, mutants as from `mutate`) of each file.

    The files are all of src/ but those that are not part of the algorithm.
    """
    first = 0
    for path in sorted((root / "src").rglob("*.rs")):
        file = path.relative_to(root).as_posix()
        if SKIPPED.fullmatch(file):
            continue
        text, found = mutate(file, path.read_text(), first)
        yield file, text, found
        first += len({key.split()[0] for *_, key in found})


def find() -> list[Mutant]:
    """Returns the mutants of the checkout."""
    found = [one for *_, here in mutate_all(working_copy.ROOT) for one in here]
    assert any(change.startswith(FENCE) for _, _, change, _ in found), f"no {FENCE} in the sources"
    return named(found)


def make_copy() -> Path:
    """Makes a working copy that is all mutants at once."""
    copy = working_copy.make("orderings")
    for file, text, _ in list(mutate_all(copy)):
        (copy / file).write_text(text)
    (copy / "src/mutant.rs").write_text(models.SWITCH)
    lib = copy / "src/lib.rs"
    lib.write_text(f"#![allow(unused)]\n{lib.read_text()}#[cfg(test)]\nmod mutant;\n")
    return copy


def survivors(mutants: Sequence[Mutant], jobs: int) -> tuple[list[Mutant], list[Mutant]]:
    """Runs the models on each mutant.

    Returns the mutants that survive, and those that do not compile: none.
    """
    copy = make_copy()
    programs = {
        "two cells": models.build(copy, one_cell=False),
        "one cell": models.build(copy, one_cell=True),
    }
    left = list(mutants)
    # Most mutants fail with a single preemption already, which takes a fraction of the time.
    for preemptions in sorted({1, models.PREEMPTIONS}):
        for cells, program in programs.items():
            if left:
                print(f"--- segments of {cells}, {preemptions} preemptions", flush=True)
                left = Round(program, preemptions, jobs).survivors(left, jobs)
    return left, []


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
