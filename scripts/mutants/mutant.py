"""What a mutant is called."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


class TestsFail(Exception):
    """The tests fail on the unchanged code, so they tell nothing about mutants."""


@dataclass(frozen=True)
class Mutant:
    """One small change of the source code.

    The name says file, function and change. It has no line number, so it stays the same when lines
    above the change come and go.
    """

    name: str
    line: int
    # What the tool that makes the change calls it.
    key: str

    def __str__(self) -> str:
        return f"{self.name}  (line {self.line})"


def named(found: Iterable[tuple[str, int, str, str]]) -> list[Mutant]:
    """Gives each (file, line, change, key) its name.

    A change that is possible at several places of a function is numbered from the second place on.
    """
    seen: Counter[str] = Counter()
    mutants = []
    for file, line, change, key in found:
        name = f"{file}: {change}"
        seen[name] += 1
        number = f" #{seen[name]}" if seen[name] > 1 else ""
        mutants.append(Mutant(name + number, line, key))
    return mutants
