"""The mutants that no test can kill, each with the reason: explained.toml.

The file has two lists, `[[orderings]]` and `[[conditions]]`. Each item of a list gives one reason,
`why`, for one or more `mutants`, which are called by their names.
"""

import tomllib
from collections.abc import Iterable


class Malformed(Exception):
    """The file is not as described above; the message says where."""


def load(text: str, kind: str) -> dict[str, str]:
    """Returns the reason for each mutant of the kind, by the name of the mutant."""
    try:
        lists = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(str(error)) from error
    if unknown := set(lists) - {"orderings", "conditions"}:
        raise Malformed(f"there is no kind of mutant called {', '.join(sorted(unknown))}")
    reasons: dict[str, str] = {}
    for item in lists.get(kind, []):
        if set(item) != {"why", "mutants"}:
            raise Malformed(f"an item of {kind} must have `why` and `mutants`, not {sorted(item)}")
        why = item["why"].strip()
        if not why or not item["mutants"]:
            raise Malformed(f"an item of {kind} has no reason or no mutants: {item}")
        for name in item["mutants"]:
            if name in reasons:
                raise Malformed(f"explained twice: {name}")
            reasons[name] = why
    return reasons


def outdated(explained: Iterable[str], existing: Iterable[str]) -> list[str]:
    """Returns a message for each explained mutant that does not exist (any more).

    If the same change is possible in a file that is not the one named, the message says so.
    """
    existing = list(existing)
    messages = []
    for name in explained:
        if name in existing:
            continue
        change = name.partition(": ")[2]
        elsewhere = [other for other in existing if other.partition(": ")[2] == change]
        hint = f"; has it moved? There is {' and '.join(elsewhere)}" if elsewhere else ""
        messages.append(f"explained, but there is no such mutant: {name}{hint}")
    return messages
