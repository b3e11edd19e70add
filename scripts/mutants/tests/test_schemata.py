"""Many mutants in one text."""

import unittest
from dataclasses import replace

from schemata import Change, Writer, blamed, expression, place


def change(text: str, old: str, new: str, genre: str = "BinaryOperator", number: int = 0) -> Change:
    """Returns the change of the first `old` in the text to `new`."""
    start = text.index(old)
    return Change(number, genre, start, start + len(old), new)


def written(text: str, *changes: Change) -> str:
    """Returns the text with the changes in it; white space does not count."""
    return " ".join(str(Writer(text, changes)).split())


class Expression(unittest.TestCase):
    """Where an expression begins and ends."""

    def around(self, text: str, at: str) -> str:
        """Returns the expression around the first `at`."""
        start = text.index(at)
        first, last = expression(text, start, start + len(at))
        return text[first:last].strip()

    def test_brackets_and_commas(self) -> None:
        self.assertEqual(self.around("f(x, a < b.c(d, e), y)", "<"), "a < b.c(d, e)")
        self.assertEqual(self.around("{ x += y; a }", "+="), "x += y")

    def test_heads(self) -> None:
        self.assertEqual(self.around("if a < B { c } else { d }", "<"), "a < B")
        self.assertEqual(self.around("while let Some(x) = a & b { c }", "& "), "a & b")
        self.assertEqual(self.around("match x { Some(a) if a < b => c, }", "<"), "a < b")
        self.assertEqual(self.around("match x { Some(a) if a < b =>\n{ c } }", "<"), "a < b")
        self.assertEqual(self.around("let Some(x) = (a & b) else { return };", "& b"), "a & b")
        self.assertEqual(self.around("return a == b;", "=="), "a == b")

    def test_assignments_and_comparisons(self) -> None:
        self.assertEqual(self.around("x = a == b && c <= d;", "&&"), "a == b && c <= d")
        self.assertEqual(self.around("x >>= a + b;", "+"), "a + b")

    def test_closures(self) -> None:
        self.assertEqual(self.around("f(|x| x < y)", "<"), "x < y")
        self.assertEqual(self.around("let f = || x < y;", "<"), "x < y")
        self.assertEqual(self.around("let f = move || x < y;", "<"), "x < y")
        self.assertEqual(self.around("let f = a || x < y;", "<"), "a || x < y")
        self.assertEqual(self.around("let f = a | x < y;", "<"), "a | x < y")

    def test_a_statement_before(self) -> None:
        self.assertEqual(self.around("if x {\n    y();\n}\na < b\n", "<"), "a < b")
        self.assertEqual(self.around("let z = unsafe { x() } < b;", "<"), "unsafe { x() } < b")


class Write(unittest.TestCase):
    """What is written."""

    def test_an_operator(self) -> None:
        text = "let x = a < b;"
        self.assertEqual(
            written(text, change(text, "<", "<="), change(text, "<", ">", number=1)),
            "let x = if crate::mutant::chosen(0) { a <= b } else "
            "if crate::mutant::chosen(1) { a > b } else { a < b };",
        )

    def test_one_inside_of_another(self) -> None:
        text = "f(!a(b + c))"
        self.assertEqual(
            written(text, change(text, "!", "", "UnaryOperator"), change(text, "+", "-", number=1)),
            "f(if crate::mutant::chosen(0) { a(b + c) } else "
            "{ !a(if crate::mutant::chosen(1) { b - c } else { b + c }) })",
        )

    def test_a_body(self) -> None:
        text = "fn f() -> bool { a }"
        self.assertEqual(
            written(text, change(text, "a }", "true", "FnValue")),
            "fn f() -> bool { if crate::mutant::chosen(0) { return true; } a }",
        )

    def test_an_arm(self) -> None:
        for text, expected in (
            ("match x { A => 1, _ => 2 }", "match x { A if !crate::mutant::chosen(0) => 1, _ => 2 }"),
            (
                "match x { A if b => 1, _ => 2 }",
                "match x { A if if crate::mutant::chosen(0) { false } else { b } => 1, _ => 2 }",
            ),
        ):
            self.assertEqual(written(text, change(text, text[10 : text.index(",")], "", "MatchArm")), expected)

    def test_a_comment_ends_before_what_is_added(self) -> None:
        text = "f(\n    a // why\n        < b // and this\n)"
        self.assertIn("b // and this\n}", str(Writer(text, [change(text, "<", ">")])))

    def test_fields_stand_apart(self) -> None:
        text = "A { b: c, ..d }"
        self.assertEqual(Writer(text, [change(text, "b: c", "", "StructField")]).apart, [0])


class Errors(unittest.TestCase):
    """Which mutants the compiler does not like."""

    def test_the_smallest_part_is_blamed(self) -> None:
        text = "let x = a < b;"
        writer = Writer(text, [change(text, "<", "<="), change(text, "<", ">", number=1)])
        both = str(writer)

        def error(at: str, file: str = "f") -> dict:
            start = both.index(at)
            span = {"file_name": file, "byte_start": start, "byte_end": start + len(at)}
            return {"spans": [span], "children": [], "code": {"code": "E0308"}}

        self.assertEqual(blamed({"f": writer.parts}, [error("a > b")]), {1: True})
        self.assertEqual(blamed({"f": writer.parts}, [error("a < b")]), {0: False, 1: False})
        self.assertEqual(blamed({"f": writer.parts}, [error("let"), error("a > b", "g")]), {})

    def test_one_error_of_types_is_enough(self) -> None:
        text = "let x = a < b;"
        writer = Writer(text, [change(text, "<", "<=")])
        start = str(writer).index("<=")
        span = {"file_name": "f", "byte_start": start, "byte_end": start + 2}
        errors = [{"spans": [span], "children": [], "code": {"code": code}} for code in ("E0308", "E0015")]
        self.assertEqual(blamed({"f": writer.parts}, errors), {0: True})

    def test_a_function_is_blamed_for_what_is_in_no_other_part(self) -> None:
        text = "fn f() -> X { a }"
        writer = Writer(text, [replace(change(text, "a }", "b", "FnValue"), function=(0, len(text)))])
        span = {"file_name": "f", "byte_start": len(str(writer)) - 3, "byte_end": len(str(writer))}
        error = {"spans": [span], "children": [], "code": {"code": "E0493"}}
        self.assertEqual(blamed({"f": writer.parts}, [error]), {0: False})

    def test_places_in_lines(self) -> None:
        span = {"start": {"line": 2, "column": 3}, "end": {"line": 2, "column": 4}}
        self.assertEqual(place("abc\nd + e\n", span), (6, 7))


if __name__ == "__main__":
    unittest.main()
