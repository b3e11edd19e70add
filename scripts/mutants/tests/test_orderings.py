"""Which orderings and fences are changed, and into what."""

import unittest

from mutant import named
from orderings import SKIPPED, mutate


def changes(statement: str) -> list[str]:
    """Returns the changes of a statement, and which place of it they are at."""
    found = mutate("src/a.rs", f"fn f() {{\n    {statement};\n}}\n", 0)[1]
    return [f"{change.removesuffix(' in f')} at {key.split()[0]}" for *_, change, key in found]


class Changes(unittest.TestCase):
    """One statement at a time."""

    def test_reads_and_writes(self) -> None:
        self.assertEqual(changes("w.load(Acquire)"), ["Acquire -> Relaxed at 0"])
        self.assertEqual(changes("w.store(f(1), SeqCst)"), ["SeqCst -> Relaxed at 0"])
        self.assertEqual(
            changes("w.swap(1, AcqRel)"),
            ["AcqRel -> Acquire at 0", "AcqRel -> Release at 0", "AcqRel -> Relaxed at 0"],
        )

    def test_the_second_of_two_orderings_is_that_of_a_read(self) -> None:
        expected = ["Release -> Relaxed at 0", "Acquire -> Relaxed at 1"]
        self.assertEqual(changes("w.compare_exchange(a, b, Release, Acquire)"), expected)
        self.assertEqual(changes("w.update(\n        Release,\n        Acquire,\n        |w| w)"), expected)
        self.assertEqual(changes("w.compare_exchange(a, b, Relaxed, SeqCst)"), ["SeqCst -> Relaxed at 0"])

    def test_fences(self) -> None:
        self.assertEqual(changes("dekker()"), ["dekker() -> nothing at 0"])

    def test_what_is_no_ordering(self) -> None:
        self.assertEqual(changes("Acquire::new(w.load(Relaxed)) // Acquire)"), [])


class Text(unittest.TestCase):
    """What a file becomes."""

    def test_each_place_asks_which_mutant_it_is(self) -> None:
        text, found = mutate("src/a.rs", "fn f() {\n    w.load(Acquire); // SeqCst)\n    dekker();\n}\n", 7)
        self.assertEqual(
            text,
            "fn f() {\n    w.load(crate::mutant::ordering(7, Acquire)); // SeqCst)\n"
            "    crate::mutant::dekker(8);\n}\n",
        )
        self.assertEqual([(line, key) for _, line, _, key in found], [(2, "7 Relaxed"), (3, "8 nothing")])

    def test_names_do_not_depend_on_lines(self) -> None:
        text = "fn f() {\n    w.load(Acquire);\n    w.load(Acquire);\n}\n"
        names = [mutant.name for mutant in named(mutate("src/a.rs", text, 0)[1])]
        self.assertEqual(names, ["src/a.rs: Acquire -> Relaxed in f", "src/a.rs: Acquire -> Relaxed in f #2"])
        moved = named(mutate("src/a.rs", f"// A comment.\n{text}", 0)[1])
        self.assertEqual([mutant.name for mutant in moved], names)
        self.assertEqual([mutant.line for mutant in moved], [3, 4])


class Files(unittest.TestCase):
    """Which files are left out."""

    def test_tests_and_atomics_are_skipped(self) -> None:
        for name in (
            "tests/model.rs",
            "tests.rs",
            "line/tests/cell.rs",
            "sync/mod.rs",
            "sync/probe/mod.rs",
        ):
            self.assertTrue(SKIPPED.fullmatch(f"src/{name}"), name)
        for name in "core/balance.rs", "line/cell/mod.rs", "sync/lazy_box.rs", "line/latests.rs":
            self.assertFalse(SKIPPED.fullmatch(f"src/{name}"), name)
