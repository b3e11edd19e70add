"""What is asked for, what is refused, and what is reported."""

import contextlib
import io
import unittest
from unittest import mock

import command_line
import orderings
from mutant import Mutant, TestsFail

ONE = Mutant("src/a.rs: one in Cell::take", 1, "1 Relaxed")
TWO = Mutant("src/b.rs: two in walk", 2, "2 Relaxed")


class Arguments(unittest.TestCase):
    """The arguments."""

    def refused(self, *arguments: str) -> str:
        """Asserts that arguments are refused, and returns the message."""
        message = io.StringIO()
        with contextlib.redirect_stderr(message), self.assertRaises(SystemExit) as caught:
            command_line.parse(arguments)
        self.assertEqual(caught.exception.code, 2)
        return message.getvalue()

    def test_words_and_options_in_any_order(self) -> None:
        options = command_line.parse(["orderings", "one", "--all", "two", "--jobs", "3"])
        self.assertEqual(
            (options.words, options.all, options.list, options.jobs), (["one", "two"], True, False, 3)
        )

    def test_mistakes_are_refused(self) -> None:
        self.assertIn("unrecognized arguments: --lst", self.refused("orderings", "--lst"))
        self.assertIn("unrecognized arguments: --al", self.refused("orderings", "--al"))
        self.assertIn("invalid choice: 'ordering'", self.refused("ordering"))
        self.assertIn("'0' is not a whole number above zero", self.refused("orderings", "--jobs", "0"))
        self.assertIn("usage:", self.refused())

    def test_words_pick_by_name(self) -> None:
        self.assertEqual(command_line.pick([ONE, TWO], []), [ONE, TWO])
        self.assertEqual(command_line.pick([ONE, TWO], ["Cell::", "nothing"]), [ONE])


class Main(unittest.TestCase):
    """The whole, but for making and running the mutants."""

    tried: list[Mutant]

    def run_main(self, survived: list[Mutant], reasons: dict[str, str], *arguments: str) -> tuple[int, str]:
        """Runs the program. Returns its exit status, and what it prints."""

        def survivors(tried: list[Mutant], _jobs: int) -> tuple[list[Mutant], list[Mutant]]:
            self.tried = tried
            return [mutant for mutant in tried if mutant in survived], []

        printed = io.StringIO()
        with (
            mock.patch.object(orderings, "find", lambda: [ONE, TWO]),
            mock.patch.object(orderings, "survivors", survivors),
            mock.patch("explained.load", lambda *_: reasons),
            mock.patch("pathlib.Path.mkdir"),
            mock.patch("pathlib.Path.write_text"),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            return command_line.main(["orderings", *arguments]), printed.getvalue()

    def test_all_killed(self) -> None:
        self.assertEqual(self.run_main([], {}), (0, "2 mutants, 0 explained, 0 survivors\n"))

    def test_a_survivor_fails_the_run(self) -> None:
        status, printed = self.run_main([TWO], {})
        self.assertEqual(status, 1)
        self.assertIn("1 survivors\nsurvived: src/b.rs: two in walk  (line 2)", printed)

    def test_an_explained_survivor_does_not(self) -> None:
        self.assertEqual(
            self.run_main([TWO], {TWO.name: "why"}), (0, "2 mutants, 1 explained, 0 survivors\n")
        )

    def test_all_tries_what_is_explained_too(self) -> None:
        reasons = {TWO.name: "why"}
        self.run_main([], reasons)
        self.assertEqual(self.tried, [ONE])
        printed = self.run_main([TWO], reasons, "--all")
        self.assertEqual(self.tried, [ONE, TWO])
        self.assertEqual(printed, (0, "2 mutants, 1 explained, 0 survivors\n"))

    def test_all_tells_what_is_explained_for_nothing(self) -> None:
        status, printed = self.run_main([], {TWO.name: "why"}, "--all")
        self.assertEqual(status, 0)
        self.assertIn("explained, but killed: src/b.rs: two in walk", printed)

    def test_an_outdated_explanation_fails_the_run(self) -> None:
        for arguments in (), ("--list",), ("walk",):
            status, printed = self.run_main([], {"src/c.rs: three": "why"}, *arguments)
            self.assertEqual(status, 1)
            self.assertIn("no such mutant: src/c.rs: three", printed)

    def test_tests_that_fail_without_a_mutant_end_the_run(self) -> None:
        with (
            mock.patch.object(orderings, "find", lambda: [ONE]),
            mock.patch.object(orderings, "survivors", side_effect=TestsFail("a model fails")),
            self.assertRaisesRegex(SystemExit, "a model fails"),
        ):
            command_line.main(["orderings", "--all"])

    def test_a_word_that_picks_nothing_is_refused(self) -> None:
        with self.assertRaisesRegex(SystemExit, "no mutant has one of these words in its name: three"):
            self.run_main([], {}, "three")
