//! The README can be read wherever it is shown: here, on crates.io, and beside the docs.

use std::fs;
use std::path::Path;

const README: &str = include_str!("../../README.md");

/// What stands in the docs of `Semaphore`, too.
const DIFFERENCES: &str = include_str!("../../src/docs/differences.md");

/// Where docs.rs shows the files of the package.
const SOURCE: &str = "https://docs.rs/crate/semafair/latest/source/";

/// The targets of all links and pictures.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default())
}

/// Targets that are not at the same place everywhere.
fn relative(text: &str) -> Vec<&str> {
    targets(text).filter(|target| !target.starts_with("https://")).collect()
}

#[test]
fn no_link_depends_on_where_the_text_is() {
    assert_eq!(relative(README), [""; 0]);
    assert_eq!(relative(DIFFERENCES), [""; 0]);
    assert_eq!(relative("[a](https://b), ![c](d.svg) and [e](#f)"), ["d.svg", "#f"]);
}

#[test]
fn files_that_are_linked_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = ["src/lib.rs", "src/docs/traps.md", "src/docs/examples.md"];
    let docs = docs.map(|name| fs::read_to_string(root.join(name)).unwrap());
    let texts = docs.iter().map(String::as_str).chain([README]);
    let files: Vec<_> =
        texts.flat_map(targets).filter_map(|target| target.strip_prefix(SOURCE)).collect();
    assert!(!files.is_empty(), "nothing is linked");
    for file in files {
        assert!(root.join(file).is_file(), "{file} is linked, and not there");
    }
}

#[test]
fn differences_from_tokio_are_told_in_full() {
    assert!(README.contains(DIFFERENCES), "README.md and src/docs/differences.md differ");
}
