"""The command line: which mutants to try, and the report at the end."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import conditions
import explained
import orderings
from mutant import Mutant, TestsFail
from working_copy import OUT

KINDS = {"orderings": orderings, "conditions": conditions}
EXPLAINED = Path(__file__).parent / "explained.toml"

DESCRIPTION = """\
Makes one small change after another in the source code, and runs the tests on each.
A changed program is called a mutant. A mutant that no test fails on has survived.

  orderings    weakens an ordering or leaves out a fence; the tests are the loom models
  conditions   changes a condition, an operator or a result, by cargo-mutants
"""
EPILOG = """\
The report is written to target/mutants/orderings.txt or conditions.txt. The run fails if a mutant
has survived that scripts/mutants/explained.toml does not list, or if that file lists a mutant that
does not exist. Run .ci/install first; cargo-mutants is installed below target/ on first use.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the arguments. Exits with a message if one of them is unknown."""
    parser = argparse.ArgumentParser(
        prog="python3 scripts/mutants",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("kind", choices=KINDS, help="what to change")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="try only mutants whose name contains a WORD, such as segment.rs or Segment::append",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the mutants, and stop")
    parser.add_argument("--all", action="store_true", help="also try the mutants that are explained")
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive,
        default=2,
        help="run N programs of tests at a time (default: 2)",
    )
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
        parser.exit(2)
    return parser.parse_intermixed_args(arguments)


def positive(text: str) -> int:
    """Reads a number of at least one."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def pick(mutants: Sequence[Mutant], words: Sequence[str]) -> list[Mutant]:
    """Returns the mutants whose name contains one of the words; all of them if there are no words."""
    return [mutant for mutant in mutants if not words or any(word in mutant.name for word in words)]


def report(
    picked: Sequence[Mutant], survivors: Sequence[Mutant], reasons: dict[str, str], tried_all: bool
) -> list[str]:
    """Returns the lines of the report. The survivors in it are those that are not explained."""
    known = [mutant for mutant in picked if mutant.name in reasons]
    unknown = [mutant for mutant in survivors if mutant.name not in reasons]
    lines = [f"{len(picked)} mutants, {len(known)} explained, {len(unknown)} survivors"]
    lines += [f"survived: {mutant}" for mutant in unknown]
    if tried_all:
        lines += [f"explained, but killed: {mutant}" for mutant in known if mutant not in survivors]
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments ask for. Returns the exit status: 0 if nothing is left to be done."""
    options = parse(arguments)
    kind = KINDS[options.kind]
    try:
        reasons = explained.load(EXPLAINED.read_text(), options.kind)
    except explained.Malformed as error:
        sys.exit(f"{EXPLAINED}: {error}")

    mutants = kind.find()
    picked = pick(mutants, options.words)
    if not picked:
        sys.exit(f"no mutant has one of these words in its name: {', '.join(options.words)}")
    outdated = explained.outdated(reasons, [mutant.name for mutant in mutants])

    failed = bool(outdated)
    if options.list:
        print(*picked, sep="\n")
    else:
        tried = [mutant for mutant in picked if options.all or mutant.name not in reasons]
        try:
            survivors, invalid = kind.survivors(tried, options.jobs) if tried else ([], [])
        except TestsFail as error:
            sys.exit(str(error))
        valid = [mutant for mutant in picked if mutant not in invalid]
        lines = report(valid, survivors, reasons, options.all)
        failed |= any(mutant.name not in reasons for mutant in survivors)
        print(*lines, sep="\n")
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{options.kind}.txt").write_text("\n".join([*lines, *outdated]) + "\n")
    for message in outdated:
        print(message, file=sys.stderr)
    return int(failed)
