"""The list of explained mutants."""

import unittest

from command_line import EXPLAINED
from explained import Malformed, load, outdated

TEXT = """
[[orderings]]
why = "A reason."
mutants = ["src/a.rs: one", "src/a.rs: two"]
[[conditions]]
why = "Another."
mutants = ["src/a.rs: three"]
"""


class Load(unittest.TestCase):
    """What is read, and what is refused."""

    def test_each_kind_has_its_own(self) -> None:
        self.assertEqual(
            load(TEXT, "orderings"), {"src/a.rs: one": "A reason.", "src/a.rs: two": "A reason."}
        )
        self.assertEqual(load(TEXT, "conditions"), {"src/a.rs: three": "Another."})

    def test_mistakes_are_refused(self) -> None:
        for text, message in (
            ("[[ordering]]", "no kind of mutant called ordering"),
            ('[[orderings]]\nwhy = "x"', "must have `why` and `mutants`"),
            ('[[orderings]]\nwhy = " "\nmutants = ["a"]', "no reason or no mutants"),
            ('[[orderings]]\nwhy = "x"\nmutants = []', "no reason or no mutants"),
            ('[[orderings]]\nwhy = "x"\nmutants = ["a", "a"]', "explained twice: a"),
            ("[[orderings", "at end of document"),
        ):
            with self.assertRaisesRegex(Malformed, message):
                load(text, "orderings")

    def test_the_list_is_well_formed(self) -> None:
        for kind in "orderings", "conditions":
            self.assertTrue(load(EXPLAINED.read_text(), kind))


class Outdated(unittest.TestCase):
    """What is listed, but does not exist."""

    def test_a_mutant_that_is_gone(self) -> None:
        self.assertEqual(outdated(["src/a.rs: one"], ["src/a.rs: one", "src/b.rs: two"]), [])
        (message,) = outdated(["src/a.rs: one"], ["src/b.rs: two"])
        self.assertEqual(message, "explained, but there is no such mutant: src/a.rs: one")

    def test_a_mutant_that_may_have_moved(self) -> None:
        (message,) = outdated(["src/a.rs: one"], ["src/core/a.rs: one"])
        self.assertTrue(message.endswith("has it moved? There is src/core/a.rs: one"), message)
