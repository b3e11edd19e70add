"""One program with many mutants in it: which one it is, the variable MUTANT says when it runs.

    a < b      becomes     if crate::mutant::chosen(7) { a <= b } else { a < b }

The expression around a change is found by its brackets, commas and keywords, as in `rust_source`. All
changes of one expression stand in one chain of `if`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import rust_source

# The module that the mutated code asks which mutant it is. With the variable ASKED, it says in that
# file which mutants were asked for. What is evaluated by the compiler is no mutant.
SWITCH = """\
//! Which mutant this is: the variable MUTANT gives its number.
extern crate std;
use std::fs::File;
use std::io::Write;
use std::string::ToString;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static MUTANT: LazyLock<Option<usize>> =
    LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()));
static ASKED: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = std::env::var_os("ASKED")?;
    Some(File::options().append(true).create(true).open(path).unwrap())
});
static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

#[inline]
#[track_caller]
pub(crate) const fn chosen(number: usize) -> bool {
    const fn when_compiled(_number: usize) -> bool {
        false
    }
    ::core::intrinsics::const_eval_select((number,), when_compiled, when_run)
}

fn when_run(number: usize) -> bool {
    if let Some(file) = &*ASKED {
        if !SEEN[number].swap(true, Ordering::Relaxed) {
            let mut line = number.to_string();
            line.push('\\n');
            (&*file).write_all(line.as_bytes()).unwrap();
        }
    }
    *MUTANT == Some(number)
}
"""
# Before and after the text of lib.rs.
LIB = (
    "#![feature(core_intrinsics, const_eval_select)]\n"
    "#![allow(warnings, internal_features, arithmetic_overflow, unconditional_panic)]\n",
    "mod mutant;\n",
)
# It lets the library, and no other crate, ask whether the compiler evaluates it.
VARIABLES = {"RUSTC_BOOTSTRAP": "semafair"}

# What an expression stands behind, if that is a word.
BEFORE = {"if", "while", "match", "return", "in", "break", "let", "else", "move"}
# Behind these, a `{` ends the expression.
HEADS = {"if", "while", "match", "in"}
# rustfmt sets spaces around what assigns, and around binary operators.
ASSIGNS = re.compile(r" (?:[-+*/%&|^]|<<|>>)?=>? $")
# What the compiler calls errors of types.
OF_TYPES = {"E0277", "E0282", "E0283", "E0308", "E0369", "E0599", "E0600", "E0614"}
GOES_ON = re.compile(r"[ \t]*(?:\n\s*)?(?:[.?]|(?:[-+*/%&|^<>=!]=?|&&|\|\||<<|>>) |as\b)")


@dataclass(frozen=True)
class Change:
    """The text from `start` to `end` is replaced in the mutant with this number."""

    number: int
    genre: str
    start: int
    end: int
    replacement: str
    # From where to where the function goes.
    function: tuple[int, int] | None = None


@dataclass
class Window:
    """A part of the text that is there more than once: as it is, and for each mutant as that has it."""

    start: int
    end: int
    # The number of each mutant, and its text.
    texts: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """The part of the new text, in bytes, that is there because of some mutants."""

    start: int
    end: int
    numbers: tuple[int, ...]
    # The text of one mutant, and nothing that is there without it.
    own: bool = False


def place(text: str, item: dict) -> tuple[int, int]:
    """Returns from where to where a span of cargo-mutants goes in a text."""
    lines = text.splitlines(keepends=True)
    start, end = (
        sum(map(len, lines[: at["line"] - 1])) + at["column"] - 1 for at in (item["start"], item["end"])
    )
    return start, end


def expression(code: str, start: int, end: int) -> tuple[int, int]:
    """Returns from where to where the largest expression around a place goes."""
    start, head = begin(code, start)
    return start, finish(code, end, head)


def begin(code: str, at: int) -> tuple[int, bool]:
    """Returns where the expression begins, and whether a `{` ends it."""
    depth = 0
    for i in range(at - 1, -1, -1):
        character = code[i]
        if character in ")]}":
            if depth == 0 and character == "}" and not GOES_ON.match(code, i + 1):
                return i + 1, False
            depth += 1
        elif character in "([{":
            if depth == 0:
                return i + 1, False
            depth -= 1
        elif depth:
            continue
        elif character in ",;":
            return i + 1, False
        elif character == "|" and code[i + 1] == " " and (code[i - 1] not in " |" or code[i - 2] in "( "):
            if code[i - 1] == "|" and code[i - 2] == " " and not re.search(r"(=|move) \|\|$", code[: i + 1]):
                continue
            return i + 1, False
        elif character == " " and ASSIGNS.search(code, max(0, i - 5), i + 1):
            before = re.search(r"[^;{}]*$", code[:i])
            return i + 1, bool(before and re.search(r"\b(?:if|while) let\b", before[0]))
        elif not (code[i + 1].isalnum() or code[i + 1] == "_"):
            word = re.search(r"\w*$", code[max(0, i - 10) : i + 1])
            if word and word[0] in BEFORE:
                return i + 1, word[0] in HEADS
    return 0, False


def finish(code: str, at: int, head: bool) -> int:
    """Returns where the expression ends."""
    depth = 0
    for i in range(at, len(code)):
        character = code[i]
        if depth == 0:
            opens = character == "{" and head and not code[:i].endswith("unsafe ")
            words = code.startswith(("=> ", "=>\n", "= "), i) and code[i - 1] == " "
            if character in ")]},;" or opens or words or re.match(r"(?<=\s)else\b", code[i:]):
                return i
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0 and character == "}" and not GOES_ON.match(code, i + 1):
                return i + 1
    return len(code)


def windows(text: str, changes: Iterable[Change]) -> tuple[list[Window], list[int]]:
    """Returns the parts that are there more than once, and the mutants for which there is none."""
    code = rust_source.code(text)
    by_place: dict[tuple[int, int], Window] = {}
    apart: list[int] = []
    for change in changes:
        start, end = change.start, change.end
        if change.genre == "FnValue":
            end = start
            mutated = change.replacement
        elif change.genre == "MatchArm":
            arrow = code.find(" =>", start)
            guard = code.find(" if ", start, arrow)
            # Not the arm, but its guard is replaced: with one that never holds.
            start, end = (arrow, arrow) if guard < 0 else (guard + 4, arrow)
            mutated = "false"
        elif change.genre == "StructField":
            apart.append(change.number)
            continue
        else:
            start, end = expression(code, start, end)
            while text[start].isspace():
                start += 1
            while text[end - 1].isspace():
                end -= 1
            mutated = text[start : change.start] + change.replacement + text[change.end : end]
        window = by_place.setdefault((start, end), Window(start, end))
        window.texts.append((change.number, mutated))
    found: list[Window] = []
    open_: list[Window] = []
    for window in sorted(by_place.values(), key=lambda one: (one.start, one.end > one.start, -one.end)):
        while open_ and open_[-1].end <= window.start:
            open_.pop()
        if open_ and window.end > open_[-1].end:
            apart += [number for number, _ in window.texts]
            continue
        found.append(window)
        open_.append(window)
    return found, apart


class Writer:
    """Writes the text with all mutants, and remembers which parts are there because of which."""

    def __init__(self, text: str, changes: Sequence[Change]) -> None:
        self.text = text
        self.pieces: list[str] = []
        self.length = 0
        self.parts: list[Part] = []
        self.genres = {change.number: change.genre for change in changes}
        found, self.apart = windows(text, changes)
        # Where text that is as it was begins: in the old text, and in the new.
        self.moved: list[tuple[int, int]] = []
        rest = self.write(0, len(text), found)
        assert not rest
        for change in changes:
            if change.genre == "FnValue" and change.function:
                start, end = map(self.now, change.function)
                self.parts.append(Part(start, end, (change.number,)))

    def put(self, piece: str) -> None:
        """Writes a piece of text."""
        self.pieces.append(piece)
        self.length += len(piece)

    def now(self, before: int) -> int:
        """Returns where a place of the old text is in the new."""
        old, new = max((one for one in self.moved if one[0] <= before), default=(0, 0))
        return new + before - old

    def copy(self, start: int, end: int) -> None:
        """Writes a part of the old text."""
        self.moved.append((start, self.length))
        self.put(self.text[start:end])

    def write(self, start: int, end: int, inner: list[Window]) -> list[Window]:
        """Writes the text from `start` to `end`, with the first of `inner` in it. Returns the others."""
        while inner and inner[0].start >= start and inner[0].end <= end:
            window, inner = inner[0], inner[1:]
            self.copy(start, window.start)
            inner = self.write_window(window, inner)
            start = window.end
        self.copy(start, end)
        return inner

    def write_window(self, window: Window, inner: list[Window]) -> list[Window]:
        """Writes what stands in place of a window. Returns the windows that are not part of it."""
        first = self.length
        genre = self.genres[window.texts[0][0]]
        for number, mutated in window.texts:
            before = self.length
            if genre == "FnValue":
                self.put(f"if crate::mutant::chosen({number}) {{ return {mutated}; }}\n")
            elif window.start == window.end:
                self.put(f" if !crate::mutant::chosen({number})")
            else:
                self.put(f"if crate::mutant::chosen({number}) {{ {mutated}\n}} else ")
            self.parts.append(Part(before, self.length, (number,), own=True))
        if window.start != window.end:
            self.put("{ ")
            inner = self.write(window.start, window.end, inner)
            self.put("\n}")
        self.parts.append(Part(first, self.length, tuple(number for number, _ in window.texts)))
        return inner

    def __str__(self) -> str:
        return "".join(self.pieces)


def blamed(parts: dict[str, list[Part]], errors: Iterable[dict]) -> dict[int, bool]:
    """Returns the mutants in whose parts the compiler has found errors.

    For each error, that is the smallest part around one of the places that the compiler names; and if it
    is in no part, all of a function whose result is changed. Whether the mutant would not compile by itself
    either is told as well: it would not if its own text has types that do not fit.
    """
    found: dict[int, bool] = {}
    for error in errors:
        around = [
            part
            for span in places(error)
            for part in parts.get(span["file_name"], [])
            if part.start <= span["byte_start"] and span["byte_end"] <= part.end
        ]
        if around:
            size = min(part.end - part.start for part in around)
            code = (error["code"] or {}).get("code")
            for part in around:
                if part.end - part.start == size:
                    for number in part.numbers:
                        found[number] = found.get(number, False) or (part.own and code in OF_TYPES)
    return found


def places(error: dict) -> Iterable[dict]:
    """Returns all places that an error of the compiler names."""
    yield from error["spans"]
    for child in error["children"]:
        yield from child["spans"]


def by_file(items: Sequence[tuple[int, dict]], read: dict[str, str]) -> dict[str, list[Change]]:
    """Returns the changes of each file, given the numbered mutants of cargo-mutants' list."""
    changes: dict[str, list[Change]] = defaultdict(list)
    for number, item in items:
        start, end = place(read[item["file"]], item["span"])
        around = place(read[item["file"]], item["function"]["span"]) if item["function"] else None
        changes[item["file"]].append(Change(number, item["genre"], start, end, item["replacement"], around))
    return changes
