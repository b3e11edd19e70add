//! What stands at an address of the program: which locked instruction, and in which function.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::Result;

/// A locked instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// A compare-and-swap, which fails if the word has changed.
    CompareAndSwap,
    /// Any other, which cannot fail.
    Always,
}

/// The locked instructions of each object, which is disassembled once.
#[derive(Default)]
pub(crate) struct Disassembly(HashMap<String, HashMap<u64, Locked>>);

impl Disassembly {
    fn of(&mut self, object: &str) -> Result<&HashMap<u64, Locked>> {
        if !self.0.contains_key(object) {
            let mut objdump = Command::new("objdump");
            objdump.args(["--disassemble", "--no-show-raw-insn", object]);
            let output = objdump.output().map_err(|error| format!("objdump: {error}"))?;
            if !output.status.success() {
                return Err(format!("objdump fails on {object}").into());
            }
            let listing = String::from_utf8_lossy(&output.stdout);
            let instructions = listing.lines().filter_map(|line| {
                let (address, instruction) = line.split_once(":\t")?;
                Some((u64::from_str_radix(address.trim(), 16).ok()?, locked(instruction)?))
            });
            self.0.insert(object.to_owned(), instructions.collect());
        }
        Ok(&self.0[object])
    }
}

/// A `lock` prefix, or an `xchg` with memory, which locks without being told to.
fn locked(instruction: &str) -> Option<Locked> {
    let mut words = instruction.split_whitespace();
    match words.next()? {
        "lock" if words.next()?.starts_with("cmpxchg") => Some(Locked::CompareAndSwap),
        "lock" => Some(Locked::Always),
        name => {
            let with_memory = name.starts_with("xchg") && instruction.contains(['(', ':']);
            with_memory.then_some(Locked::Always)
        }
    }
}

/// Where the objects of a process lie, from its `/proc/self/maps`.
#[derive(Default)]
pub(crate) struct Objects(Vec<Mapped>);

struct Mapped {
    from: u64,
    to: u64,
    path: String,
}

impl Objects {
    /// Reads a line like `00138000-001af000 r-xp 0002f000 fe:00 5939567   /usr/lib/libc.so.6`.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        let mut fields = line.split_whitespace();
        let range = fields.next().ok_or("no range in a line of maps")?;
        let Some(path) = fields.nth(4).filter(|path| path.starts_with('/')) else { return Ok(()) };
        let (from, to) = range.split_once('-').ok_or("no range in a line of maps")?;
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16));
        self.0.push(Mapped { from: from?, to: to?, path: path.to_owned() });
        Ok(())
    }

    /// The object, and the address as it stands in its file: shared objects, and programs that are
    /// independent of their position, begin at zero there.
    fn find(&self, address: u64) -> Option<(&str, u64)> {
        let here = self.0.iter().find(|it| (it.from..it.to).contains(&address))?;
        let first = self.0.iter().filter(|it| it.path == here.path).map(|it| it.from).min()?;
        Some((&here.path, address - first))
    }

    /// Which of these instructions are locked.
    pub(crate) fn locked(
        &self,
        addresses: &BTreeSet<u64>,
        disassembly: &mut Disassembly,
    ) -> Result<HashMap<u64, Locked>> {
        let mut found = HashMap::new();
        for &address in addresses {
            let Some((object, place)) = self.find(address) else { continue };
            if let Some(&locked) = disassembly.of(object)?.get(&place) {
                found.insert(address, locked);
            }
        }
        Ok(found)
    }

    /// The innermost function that is written for the semaphore: not the standard library's atomics
    /// and cells, which are inlined everywhere. Without debug information it is the symbol's.
    pub(crate) fn names(&self, addresses: &BTreeSet<u64>) -> Result<HashMap<u64, String>> {
        let mut by_object: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for &address in addresses {
            if let Some((object, place)) = self.find(address) {
                by_object.entry(object).or_default().push((address, place));
            }
        }
        let mut names = HashMap::new();
        for (object, places) in by_object {
            let mut addr2line = Command::new("addr2line");
            addr2line.args(["--functions", "--inlines", "--demangle", "--addresses", "--exe"]);
            let mut child = addr2line
                .arg(object)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| format!("addr2line: {error}"))?;
            let mut input = child.stdin.take().ok_or("addr2line takes no input")?;
            let lines: String = places.iter().map(|(_, place)| format!("{place:x}\n")).collect();
            let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
            let output = child.wait_with_output()?;
            writer.join().map_err(|_| "a thread panicked")??;
            let text = String::from_utf8(output.stdout)?;
            // Before the frames of an address stands the address itself.
            let frames = text.split("\n0x").map(|frames| frames.lines().skip(1));
            for ((address, _), frames) in places.into_iter().zip(frames) {
                names.insert(address, innermost(&frames.collect::<Vec<_>>()));
            }
        }
        Ok(names)
    }
}

/// Of frames as a function and its file in turn, the first outside of the standard library, without
/// its crate and type parameters.
fn innermost(frames: &[&str]) -> String {
    let own = |frame: &&[&str]| {
        let file = frame.get(1).copied().unwrap_or_default();
        !file.contains("/library/") && !file.contains("/src/sync/mod.rs")
    };
    let frame = frames.chunks(2).find(own).or(frames.chunks(2).last());
    let name = frame.and_then(|frame| frame.first()).copied().unwrap_or("?");
    let file = frame.and_then(|frame| frame.get(1)).copied().unwrap_or_default();
    let file = file.split(':').next().unwrap_or_default();
    // `batch_semaphore.rs`, or `cell/mod.rs`.
    let mut parts = file.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let file = match (last, parts.next()) {
        ("mod.rs", Some(folder)) => format!("{folder}/{last}"),
        _ => last.to_owned(),
    };
    let plain = without_parameters(name);
    let plain = plain.rsplit("::").find(|part| !part.is_empty()).unwrap_or(name);
    if file.is_empty() || file == "??" { plain.to_owned() } else { format!("{file}: {plain}") }
}

/// Leaves out what stands between `<` and `>`.
fn without_parameters(name: &str) -> String {
    let mut depth = 0_usize;
    let outside = |letter: &char| {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    name.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_instructions_are_told_apart() {
        assert_eq!(locked("lock cmpxchg %rcx,(%rdi)"), Some(Locked::CompareAndSwap));
        assert_eq!(locked("lock xadd %rcx,(%rdi)"), Some(Locked::Always));
        assert_eq!(locked("xchg   %al,0x8(%rbx)"), Some(Locked::Always));
        assert_eq!(locked("xchg   %ax,%ax"), None);
        assert_eq!(locked("mov    %ax,(%rdi)"), None);
    }

    #[test]
    fn a_name_is_the_first_outside_of_the_standard_library() {
        let frames = [
            "atomic_add<i64>",
            "/rustc/1/library/core/src/sync/atomic.rs:3900",
            "give",
            "/x/src/core/balance.rs:211",
            "run<Tokio>",
            "/x/benches/src/lib.rs:1",
        ];
        assert_eq!(innermost(&frames), "balance.rs: give");
        assert_eq!(innermost(&["malloc", "??:?"]), "malloc");
        assert_eq!(innermost(&["a::run<b::C<d>>", "/x/e/mod.rs:1"]), "e/mod.rs: run");
        assert_eq!(innermost(&["<a::B as c::D>::drop", "/x/e.rs:1"]), "e.rs: drop");
    }

    #[test]
    fn an_address_is_found_in_its_object() {
        let mut objects = Objects::default();
        for line in [
            "1000-3000 r--p 00000000 fe:00 5 /bin/it",
            "3000-9000 r-xp 00001f00 fe:00 5 /bin/it",
            "9000-a000 rw-p 00000000 00:00 0",
        ] {
            objects.add(line).unwrap();
        }
        assert_eq!(objects.find(0x3010), Some(("/bin/it", 0x2010)));
        assert_eq!(objects.find(0x9010), None);
    }
}
