"""What counts as code, and where in it a place is."""

import unittest

from rust_source import called_at, code, function_at, type_name


class Code(unittest.TestCase):
    """What is blanked out, and what is not."""

    def assert_code(self, text: str, *, kept: str, gone: str) -> None:
        """Asserts that the one is left of a text and the other is not, and that nothing moves."""
        result = code(text)
        self.assertEqual(len(result), len(text))
        self.assertEqual(result.count("\n"), text.count("\n"))
        self.assertIn(kept, result)
        self.assertNotIn(gone, result)
        self.assertEqual(result.index(kept), text.index(kept))

    def test_comments_and_strings(self) -> None:
        self.assert_code('a("// gone"); // gone\nkept', kept="kept", gone="gone")
        self.assert_code(r"""let c = '"'; kept; let d = '"';""", kept="kept", gone='"')
        self.assert_code("fn f<'a>(x: &'a str) // gone", kept="(x: &'a str)", gone="gone")

    def test_imports(self) -> None:
        self.assert_code("pub(crate) use a::{\n    Gone,\n};\nkept", kept="kept", gone="Gone")

    def test_an_item_for_tests_alone(self) -> None:
        for item in (
            "mod gone;",
            "mod gone {\n    fn gone() {}\n}",
            "const GONE: usize = if gone {\n    1\n} else {\n    gone\n};",
            "#[inline]\npub(crate) const fn gone<A, B>(a: [u8; 3]) -> u8 {\n    gone;\n    2\n}",
            "impl<A, B> Gone for A {\n    gone;\n}",
            "use gone::{A, B};",
        ):
            for attribute in "#[cfg(test)]", "#[cfg(all(test, semafair_loom))]":
                self.assert_code(f"{attribute}\n{item}\nkept();", kept="kept", gone="gone")

    def test_a_field_or_statement_for_tests_alone(self) -> None:
        self.assert_code("S {\n #[cfg(test)]\n gone: f(1, 2),\n kept: 1,\n}", kept="kept", gone="gone")
        self.assert_code("{\n #[cfg(test)]\n gone(1, 2);\n kept()\n}", kept="kept", gone="gone")
        self.assert_code("{\n #[cfg(test)]\n gone\n}\nkept()", kept="}\nkept", gone="gone")

    def test_what_tests_do_not_use(self) -> None:
        self.assert_code("#[cfg(not(test))]\nconst A: u8 = kept;", kept="kept", gone="//")


class Names(unittest.TestCase):
    """What a place is called."""

    def test_function(self) -> None:
        text = (
            "impl<T> Cell<T> {\n    pub(super) unsafe fn swap(&self) {\n        1\n    }\n}\n"
            "pub(in crate::line) fn walk() {\n    2\n}\n"
            "impl Drop for Guard<'_> {\n    fn drop(&mut self) {\n        3\n    }\n}\n"
            "pub(super) trait Visitor: Sized {\n    fn visit(self) {\n        4\n    }\n}\n"
        )
        names = [function_at(text, text.index(place)) for place in "1234"]
        self.assertEqual(names, ["Cell::swap", "walk", "Guard::drop", "Visitor::visit"])

    def test_type(self) -> None:
        self.assertEqual(type_name(" fmt::Debug for cell::Cell "), "Cell")
        self.assertEqual(type_name("<A: Into<u8>, B> From<A> for Line<B>\nwhere\n    B: Copy,\n"), "Line")
        self.assertEqual(type_name(" Future for &mut Acquire<'_> "), "Acquire")

    def test_call(self) -> None:
        text = "self.word.store(f(1), x)"
        self.assertEqual(called_at(text, text.index("x)")), "store")
        self.assertEqual(called_at(text, text.index("1")), "f")
        self.assertEqual(called_at("x", 0), "")
