"""Copies of the checkout, in which the source code is changed."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target/mutants"


def make(name: str) -> Path:
    """Copies the checkout to target/mutants/NAME; what is not changed there is linked.

    The copy has a version of its own, so that cargo keeps what is built from it apart. It is made
    anew each time: files keep no time stamps, so cargo takes none of them for built already.
    """
    copy = OUT / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "target", "src", "Cargo.toml", "Cargo.lock"):
            (copy / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "src", copy / "src", copy_function=shutil.copyfile)
    for file in "Cargo.toml", "Cargo.lock":
        text, count = re.subn(
            r'(name = "semafair"\nversion = "[^"]*)"', r'\1-mutant"', (ROOT / file).read_text()
        )
        assert count == 1, f"{file} does not give semafair's version below its name"
        (copy / file).write_text(text)
    return copy
