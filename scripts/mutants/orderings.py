"""Mutants with a weaker ordering, or without a fence; the loom models are to fail on them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import models
import rust_source
import working_copy
from mutant import Mutant, named

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
    (copy / "src/mutant.rs").write_text(SWITCH)
    lib = copy / "src/lib.rs"
    lib.write_text(f"#![allow(unused)]\n{lib.read_text()}#[cfg(test)]\nmod mutant;\n")
    return copy


def survivors(mutants: Sequence[Mutant], jobs: int) -> tuple[list[Mutant], list[Mutant]]:
    """Runs the models on each mutant.

    Returns the mutants that survive, and those that do not compile: none.
    """
    copy = make_copy()
    return models.survivors(copy, mutants, jobs), []
