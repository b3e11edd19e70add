"""What cargo-mutants lists."""

import unittest

from conditions import parse


class Parse(unittest.TestCase):
    """The names of the mutants."""

    def test_names_have_no_lines(self) -> None:
        one = "src/a.rs:3:5: replace < with == in A::f"
        two = "src/a.rs:4:15: replace < with == in A::f"
        mutants = parse(f'[{{"name": "{one}", "file": "src/a.rs"}}, {{"name": "{two}"}}]')
        self.assertEqual(
            [mutant.name for mutant in mutants],
            ["src/a.rs: replace < with == in A::f", "src/a.rs: replace < with == in A::f #2"],
        )
        self.assertEqual([(mutant.line, mutant.key) for mutant in mutants], [(3, one), (4, two)])
