"""Finds its way in Rust source code.

This is no parser: it relies on the code being formatted by rustfmt.
"""

import re

COMMENT_OR_STRING = re.compile(
    r"""//[^\n]*            # a comment
    | "(?:\\.|[^"\\])*"     # a string
    | b?'(?:\\.|[^'\\])'    # a character; a lifetime has no second quote
    """,
    re.VERBOSE | re.DOTALL,
)
IMPORT = re.compile(r"^ *(?:pub(?:\([^)]*\))? )?use [^;]*;", re.MULTILINE)
# `#[cfg(test)]` and `#[cfg(all(test, …))]`.
FOR_TESTS = re.compile(r"#\[cfg\((?:test|all\(test\b[^]]*)\)\]")
ATTRIBUTES_AND_VISIBILITY = re.compile(r"(?:\s*#\[[^]]*\])*\s*(?:pub(?:\([^)]*\))?\s+)?")
# An item that ends with its body, or at a semicolon if it has none.
HAS_BODY = re.compile(r"(?:const fn|async|unsafe|extern|fn|impl|mod|struct|enum|union|trait|macro_rules)\b")
# An item that ends at a semicolon.
HAS_VALUE = re.compile(r"(?:const|static|let|type)\b")
FUNCTION = re.compile(r"^( *)(?:\S+ )*fn (\w+)", re.MULTILINE)
OWNER = re.compile(r"^(?:pub(?:\([^)]*\))? )?(?:unsafe )?(?:impl\b|trait )([^{;]*)\{", re.MULTILINE)


def blank(text: str) -> str:
    """Replaces everything but line ends with spaces, so that all that follows keeps its place."""
    return re.sub(r"[^\n]", " ", text)


def code(text: str) -> str:
    """Blanks out what is not compiled into the library: comments, strings, imports, test code."""
    text = COMMENT_OR_STRING.sub(lambda match: blank(match[0]), text)
    while match := FOR_TESTS.search(text):
        end = end_of_item(text, match.end())
        text = text[: match.start()] + blank(text[match.start() : end]) + text[end:]
    return IMPORT.sub(lambda match: blank(match[0]), text)


def end_of_item(text: str, start: int) -> int:
    """Returns where the item, field or statement ends whose (further) attributes begin at `start`."""
    start = ATTRIBUTES_AND_VISIBILITY.match(text, start).end()  # type: ignore[union-attr]
    has_body, has_value = HAS_BODY.match(text, start), HAS_VALUE.match(text, start)
    depth = 0
    for at in range(start, len(text)):
        character = text[at]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:  # the end of what it stands in
                return at
        if depth == 0 and character == ";":
            return at + 1
        if depth == 0 and character == "}" and not (has_value and not has_body):
            return at + 1
        if depth == 0 and character == "," and not (has_body or has_value):
            return at + 1
    return len(text)


def function_at(only_code: str, at: int) -> str:
    """Returns the name of the function around a place, with its type or trait: `Type::function`."""
    *_, (indent, function) = FUNCTION.findall(only_code, 0, at)
    owners = OWNER.findall(only_code, 0, at)
    return f"{type_name(owners[-1])}::{function}" if indent and owners else function


def type_name(header: str) -> str:
    """Returns the name of the type or trait, given what stands between `impl` or `trait` and `{`."""
    header = re.split(r"\bwhere\b", header)[0]
    while (without_generics := re.sub(r"<[^<>]*>", "", header)) != header:
        header = without_generics
    target = header.split(" for ")[-1]
    return re.search(r"(?:(?:mut|dyn) )?(?:\w+::)*(\w+)", target)[1]  # type: ignore[index]


def called_at(only_code: str, at: int) -> str:
    """Returns the name of the function that a place is an argument of, or nothing."""
    depth = 0
    for start in range(at - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(only_code[start], 0)
        if depth < 0:
            name = re.search(r"\w+$", only_code[:start])
            return name[0] if name else ""
    return ""
