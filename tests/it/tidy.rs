//! What the sources promise about themselves, which no compiler checks. CONTRIBUTING.md has the rules.

mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, word_at, words};

/// The storeys, from the top. A file imports only from storeys below its own; `lib` may name all.
/// A folder's `mod.rs` goes by the name of the folder.
const STOREYS: [&str; 87] = [
    "lib",
    "monitor/blocking",
    "monitor/forward",
    "monitor",
    "monitor/watch",
    "monitor/metrics",
    "monitor/acquire",
    "monitor/permit",
    "monitor/report",
    "monitor/roster",
    "monitor/ends",
    "monitor/trace",
    "monitor/untraced",
    "tower",
    "tower/layer",
    "tower/service",
    "tower/future",
    "tower/hold",
    "tower/weight",
    "tower/error",
    "partitioned",
    "partitioned/builder",
    "partitioned/acquire",
    "partitioned/permit",
    "partitioned/tenant",
    "partitioned/pool",
    "partitioned/turns",
    "keyed/acquire",
    "keyed/permit",
    "keyed",
    "keyed/handle",
    "keyed/entry",
    "registry",
    "acquire_all",
    "map_limited",
    "poll_semaphore",
    "blocking/timeout",
    "blocking",
    "run",
    "close_on_drop",
    "drained",
    "between",
    "acquire_in",
    "acquire/enqueue",
    "acquire",
    "try_acquire",
    "limit",
    "permit",
    "builder",
    "status",
    "handle",
    "semaphore",
    "core/request/between",
    "core/request/enqueue",
    "core/request",
    "core/bound",
    "core/resize",
    "core/counts",
    "core/budget",
    "core/drain",
    "core",
    "error",
    "core/balance/between",
    "core/settings",
    "core/limit",
    "core/balance",
    "line",
    "line/walk",
    "line/debt",
    "line/list",
    "line/reclaim",
    "line/reclaim/hazards",
    "line/reclaim/pool",
    "line/position",
    "line/segment",
    "line/cell/waiter",
    "line/cell",
    "line/cell/outcome",
    "line/cell/slot",
    "line/cell/state",
    "wakes",
    "panic",
    "sync/lazy_box",
    "sync",
    "sync/seeded",
    "sync/probe",
    "sync/sizes",
];

/// The same for `etcd/src`.
const ETCD_STOREYS: [&str; 19] = [
    "lib",
    "semaphore",
    "permit",
    "session",
    "keeper",
    "watcher",
    "sweeper",
    "place",
    "shared",
    "queue",
    "status",
    "mirror",
    "requests",
    "client",
    "lease",
    "options",
    "keys",
    "clock",
    "error",
];

/// The only files in which the word `unsafe` may stand.
const UNSAFE: [&str; 9] = [
    "handle",
    "core/settings",
    "line/cell",
    "line/cell/slot",
    "line/position",
    "line/segment",
    "line/reclaim/hazards",
    "line/reclaim/pool",
    "sync/lazy_box",
];

/// The only file that may name the atomics of the standard library, loom's or shuttle's.
const ATOMICS: &str = "sync";

/// The variants of `Ordering` that are for atomics.
const VARIANTS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

const LONGEST: usize = 450;

/// The white-box tests and their hooks: they may be longer, and may name what they like.
const TESTS: [&str; 4] = ["blocking/tests", "core/tests", "line/tests", "sync/probe/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

/// Every Rust file under `src`, as its storey's name and its text.
fn sources() -> Vec<(String, Source)> {
    sources_of(&root())
}

/// The same, of another crate.
fn sources_of(root: &Path) -> Vec<(String, Source)> {
    let all = files_of(root);
    assert!(all.iter().any(|(name, _)| name == "lib"), "there are sources");
    all
}

/// Every Rust file under a folder.
fn files_of(root: &Path) -> Vec<(String, Source)> {
    let mut folders = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('\\', "/");
                let name = name.strip_suffix("/mod").unwrap_or(&name).to_owned();
                all.push((name, Source::new(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    all
}

/// Those that are not white-box tests.
fn shipped() -> Vec<(String, Source)> {
    let is_test = |name: &str| TESTS.iter().any(|tests| name.starts_with(tests));
    sources().into_iter().filter(|(name, _)| !is_test(name)).collect()
}

#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The names that orderings have in a file: after `Ordering::`, and alone where they are imported.
fn names_of_orderings(source: &Source) -> Vec<String> {
    let mut names = Vec::new();
    for (path, name) in source.imports() {
        let (parent, last) = path.rsplit_once("::").unwrap_or_default();
        if ["Ordering", "atomic", "sync"].iter().any(|module| parent.ends_with(module)) {
            assert!(last != "*" || !parent.ends_with("Ordering"), "`{path}` hides their names");
            if VARIANTS.contains(&last) {
                names.push(name);
            }
        }
    }
    names
}

/// The lines on which an ordering is named without an argument for it.
fn orderings_without_argument(source: &Source) -> Vec<usize> {
    let imported = names_of_orderings(source);
    let named = words(&source.code).filter(|&(at, word)| {
        !source.in_use(at)
            && match source.code[..at].strip_suffix("::") {
                Some(path) => path.ends_with("Ordering") && VARIANTS.contains(&word),
                None => imported.iter().any(|name| name == word),
            }
    });
    let unargued = named.filter(|&(at, _)| !source.has_comment_above(at, "ORDERING:"));
    let mut lines: Vec<_> = unargued.map(|(at, _)| source.line_of(at)).collect();
    lines.dedup();
    lines
}

#[test]
fn every_ordering_has_its_argument() {
    let mut violations = Vec::new();
    for (name, source) in sources() {
        for line in orderings_without_argument(&source) {
            violations.push(format!("src/{name}, line {line}: no `// ORDERING:` above"));
        }
    }
    none(&violations);
}

#[test]
fn unsafe_is_confined() {
    let mut violations = Vec::new();
    for (name, source) in sources() {
        if !UNSAFE.contains(&name.as_str()) {
            for (at, _) in words(&source.code).filter(|&(_, word)| word == "unsafe") {
                violations.push(format!("src/{name}, line {}: `unsafe`", source.line_of(at)));
            }
        }
    }
    none(&violations);
}

/// The paths in a file that name atomics of the standard library, loom or shuttle.
fn foreign_atomics(source: &Source) -> Vec<String> {
    let foreign = |path: &String| {
        let roots = ["core::sync::atomic", "std::sync::atomic", "loom", "shuttle"];
        roots.iter().any(|root| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    source.paths(&["core", "std", "loom", "shuttle"]).into_iter().filter(foreign).collect()
}

#[test]
fn one_file_names_the_atomics() {
    let mut violations = Vec::new();
    for (name, source) in shipped().iter().filter(|(name, _)| name != ATOMICS) {
        for path in foreign_atomics(source) {
            violations.push(format!("src/{name}: `{path}`"));
        }
    }
    none(&violations);
}

#[test]
fn no_file_is_too_long() {
    let mut violations = Vec::new();
    for (name, source) in shipped() {
        let lines = source.text.lines().count();
        if lines > LONGEST {
            violations.push(format!("src/{name}: {lines} lines"));
        }
    }
    none(&violations);
}

/// The storeys that a file of the storey `name` imports from, and that it should not.
fn wrong_imports(name: &str, source: &Source) -> Vec<String> {
    wrong_imports_in(&STOREYS, name, source)
}

fn wrong_imports_in(storeys: &[&str], name: &str, source: &Source) -> Vec<String> {
    let Some(own) = storeys.iter().position(|storey| *storey == name) else {
        return vec![format!("src/{name}: not in the table of storeys")];
    };
    let mut wrong = Vec::new();
    if own == 0 {
        return wrong;
    }
    for path in source.paths(&["crate", "super"]) {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut module: Vec<&str> = name.split('/').collect();
        while parts.first().is_some_and(|part| *part == "super") {
            parts.remove(0);
            module.pop();
        }
        if parts.first().is_some_and(|part| *part == "crate") {
            parts.remove(0);
            module.clear();
        }
        module.extend(parts);
        // The longest beginning of the path that is a storey; `lib` if none is.
        let storey = (1..=module.len())
            .rev()
            .find_map(|n| storeys.iter().position(|storey| *storey == module[..n].join("/")))
            .unwrap_or(0);
        if storey < own {
            wrong.push(format!("src/{name}: `{path}` is of the storey `{}`", storeys[storey]));
        }
    }
    wrong
}

#[test]
fn a_file_imports_only_from_below() {
    let violations: Vec<_> =
        shipped().iter().flat_map(|(name, source)| wrong_imports(name, source)).collect();
    none(&violations);
}

#[test]
fn a_file_of_etcd_imports_only_from_below() {
    let mut violations = Vec::new();
    for (name, source) in sources_of(&root().join("../etcd/src")) {
        if !name.ends_with("/tests") {
            violations.extend(wrong_imports_in(&ETCD_STOREYS, &name, &source));
            let lines = source.text.lines().count();
            if lines > LONGEST {
                violations.push(format!("etcd/src/{name}: {lines} lines"));
            }
        }
        for line in orderings_without_argument(&source) {
            violations.push(format!("etcd/src/{name}, line {line}: no `// ORDERING:` above"));
        }
    }
    none(&violations);
}

/// The invariants that a text cites: `I1`, `I2` …
fn invariants(text: &str) -> Vec<&str> {
    let number = |word: &str| {
        word.strip_prefix('I').is_some_and(|n| n.parse::<u32>().is_ok() && !n.starts_with('0'))
    };
    words(text).map(|(_, word)| word).filter(|word| number(word)).collect()
}

#[test]
fn every_invariant_that_is_cited_exists() {
    let defined = fs::read_to_string(root().join("line/README.md")).unwrap_or_default();
    let defined = invariants(&defined);
    let mut violations = Vec::new();
    for (name, source) in sources() {
        for cited in invariants(&source.text) {
            if !defined.contains(&cited) {
                violations.push(format!("src/{name}: {cited} is not in src/line/README.md"));
            }
        }
    }
    none(&violations);
}

/// The names of functions and tests that a text cites: in backticks, with the type or the module before.
fn cited(text: &str) -> Vec<(Option<&str>, &str)> {
    let is_name = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    let mut names = Vec::new();
    for quoted in text.split('`').skip(1).step_by(2) {
        match quoted.rsplit_once("::") {
            Some((parent, name)) if is_name(name) => {
                names.push((parent.rsplit("::").next(), name));
            }
            // A test.
            None if is_name(quoted) && quoted.matches('_').count() > 2 => {
                names.push((None, quoted))
            }
            _ => {}
        }
    }
    names
}

#[test]
fn what_the_design_cites_exists() {
    let has = |source: &Source, word: &str| words(&source.code).any(|(_, other)| other == word);
    let mut sources = sources();
    sources.extend(files_of(Path::new(env!("CARGO_MANIFEST_DIR"))));
    let mut violations = Vec::new();
    for file in ["src/line/README.md", "src/line/tests/README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join("..").join(file)).unwrap_or_default();
        for (parent, name) in cited(&text) {
            let defines = |(at, source): &(String, Source)| {
                let Some(parent) = parent else { return has(source, name) };
                // Of our own, or a call of another crate's.
                source.code.contains(&format!("fn {name}"))
                    && (at.contains(parent) || has(source, parent))
                    || source.code.contains(&format!("{parent}::{name}"))
            };
            if !sources.iter().any(defines) {
                let place = parent.unwrap_or("the sources");
                violations.push(format!("{file}: there is no {name} in {place}"));
            }
        }
    }
    none(&violations);
}

/// The rules themselves: each finds what it is made for, and only that.
mod rules {
    use super::*;

    fn unargued(text: &str) -> Vec<usize> {
        orderings_without_argument(&Source::new(text))
    }

    #[test]
    fn an_ordering_needs_a_comment_above_its_statement() {
        assert_eq!(unargued("fn f() {\n    a.load(Ordering::Relaxed);\n}"), [2]);
        assert_eq!(unargued("fn f() {\n    // ORDERING: x\n    a.load(Ordering::Relaxed);\n}"), []);
        // Of another statement, or after it, or with a gap, or in a text.
        let other = "fn f() {\n    // ORDERING: x\n    b();\n    a.load(Ordering::Relaxed);\n}";
        assert_eq!(unargued(other), [4]);
        let after = "fn f() {\n    a.load(Ordering::Relaxed);\n    // ORDERING: x\n}";
        assert_eq!(unargued(after), [2]);
        let gap = "fn f() {\n    // ORDERING: x\n\n    a.load(Ordering::Relaxed);\n}";
        assert_eq!(unargued(gap), [4]);
        let text = "fn f() {\n    \"// ORDERING: x\";\n    a.load(Ordering::Relaxed);\n}";
        assert_eq!(unargued(text), [3]);
    }

    #[test]
    fn the_comment_may_stand_in_a_call_of_many_lines() {
        let head = "fn f() {\n    // ORDERING: x\n    // more.\n    #[cfg(x)]\n    let a =\n";
        let call =
            "        b.cas(\n            |x| { x; },\n            Ordering::AcqRel,\n        );\n}";
        assert_eq!(unargued(&format!("{head}{call}")), []);
        assert_eq!(unargued(&format!("fn f() {{\n{call}")), [4]);
        let inside = "fn f() {\n    b.cas(\n        // ORDERING: x\n        Ordering::AcqRel,\n        Ordering::Relaxed,\n    );\n}";
        assert_eq!(unargued(inside), []);
        // In a block that is over it is not about this.
        let nested = "fn f() {\n    b.cas(\n        || {\n            // ORDERING: x\n            y();\n        },\n        Ordering::AcqRel,\n    );\n}";
        assert_eq!(unargued(nested), [7]);
        let arm = "fn f() {\n    match a {\n        // ORDERING: x\n        B => c.load(Ordering::Acquire),\n        D => c.load(Ordering::Acquire),\n    }\n}";
        assert_eq!(unargued(arm), [5]);
    }

    #[test]
    fn an_ordering_may_be_imported_by_name() {
        let text =
            "use core::Ordering::{Relaxed, Release as R};\nfn f() {\n    a.load(Relaxed);\n}";
        assert_eq!(unargued(text), [3]);
        // Another thing of that name, a comparison's ordering, and a type.
        let other =
            "use x::Acquire;\nfn f(o: Ordering) -> Acquire {\n    Ordering::Less;\n    Acquire\n}";
        assert_eq!(unargued(other), []);
    }

    #[test]
    fn the_word_is_looked_for_in_code_only() {
        let text = "// unsafe\n/* unsafe /* unsafe */ unsafe */ #![deny(unsafe_code)]\n\"unsafe\"; r#\"unsafe \"\"#; 'u'; b'\\''; &'unsafe_ x; ";
        let source = Source::new(text);
        assert_eq!(words(&source.code).filter(|&(_, word)| word == "unsafe").count(), 0);
        let source = Source::new("'\\u{27}'; '\"'; unsafe { \"\" }");
        assert_eq!(words(&source.code).filter(|&(_, word)| word == "unsafe").count(), 1);
    }

    #[test]
    fn atomics_are_found_however_they_are_named() {
        for text in [
            "use core::sync::atomic::AtomicUsize;",
            "use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};",
            "use ::core::{mem, sync::atomic};",
            "fn f() { std::sync::atomic::fence(x); }",
            "use loom::sync::Arc;",
        ] {
            assert_ne!(foreign_atomics(&Source::new(text)), [""; 0], "{text}");
        }
        for text in [
            "use crate::sync::atomic::AtomicUsize;",
            "use std::sync::Arc; // std::sync::atomic",
            "use crate::sync::{atomic, loom};",
        ] {
            assert_eq!(foreign_atomics(&Source::new(text)), [""; 0], "{text}");
        }
    }

    #[test]
    fn imports_from_above_are_found() {
        for (name, text) in [
            ("line", "use crate::core::balance::B;"),
            ("core/balance", "use crate::Semaphore;"),
            ("line/cell", "use super::segment;"),
            ("line/cell", "use super::Line;"),
            ("line/cell", "use crate::{sync::A, core::balance::B};"),
            ("sync", "fn f() { crate::core::balance::g() }"),
            ("line", "use super::{error::E};"),
            ("new", ""),
        ] {
            assert_eq!(wrong_imports(name, &Source::new(text)).len(), 1, "{name}: {text}");
        }
        for (name, text) in [
            ("lib", "use crate::line::Line;"),
            ("acquire", "use crate::{error::E, line::{self, cell::C}}; pub(super) fn f() {}"),
            ("line", "use self::cell::C; use super::sync::A; pub(in crate::permit) fn f() {}"),
            ("line/segment", "use super::cell; use crate::sync; // crate::permit"),
            ("line/cell", "use crate::sync::A; mod inner { use crate::line::cell::X; }"),
        ] {
            assert_eq!(wrong_imports(name, &Source::new(text)), [""; 0], "{name}: {text}");
        }
    }

    #[test]
    fn invariants_are_numbered_words() {
        assert_eq!(invariants("by I3 and (I12), not XI4, I5a, i6, I, I07"), ["I3", "I12"]);
    }

    #[test]
    fn names_are_cited_in_backticks() {
        let text = "`Line::join` and `crowds::*`, `a_test_of_that_name`; `try_x`, `Line`, a_b_c_d";
        assert_eq!(cited(text), [(Some("Line"), "join"), (None, "a_test_of_that_name")]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let source = Source::new("a\nb c");
        let lines: Vec<_> = words(&source.code).map(|(at, _)| source.line_of(at)).collect();
        assert_eq!(lines, [1, 2, 2]);
        assert_eq!(word_at(&source.code, 4), "c");
    }
}
