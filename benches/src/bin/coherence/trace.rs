//! The accesses to memory of each operation, as valgrind's `lackey` tells them.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{env, mem, thread};

use crate::Result;
use crate::caches::{Access, Kind, Part};
use crate::code::{Disassembly, Locked, Objects};
use crate::subject::{END, MARK_COUNT, NEW_SERIES, Workload};

/// Bytes of a cache line.
const LINE: u64 = 64;

/// The operations of so many cores, in the order in which they were traced.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) cores: usize,
    pub(crate) parts: Vec<Part>,
    /// The functions that accesses are in.
    pub(crate) names: Vec<String>,
}

/// An access as it is traced.
#[derive(Clone, Copy)]
struct Raw {
    instruction: u64,
    address: u64,
    bytes: u64,
    writes: bool,
    /// How many instructions ran since the access before it.
    after: u32,
}

#[derive(Default)]
struct RawPart {
    core: usize,
    accesses: Vec<Raw>,
    /// How many instructions followed the last access.
    rest: u32,
}

/// Traces a workload on a semaphore, for each number of cores.
pub(crate) fn record(
    semaphore: &str,
    workload: Workload,
    arguments: &[String],
    disassembly: &mut Disassembly,
) -> Result<Vec<Series>> {
    let mut child = Command::new("valgrind")
        .args(["--tool=lackey", "--trace-mem=yes", "--basic-counts=no", "--fair-sched=yes"])
        .arg(env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("valgrind: {error}"))?;
    let trace = BufReader::with_capacity(1 << 20, child.stderr.take().ok_or("no trace")?);
    // What comes before the child says where its marks are is no part of the trace, but must be read.
    let marks = Arc::new(OnceLock::new());
    let reader = {
        let marks = Arc::clone(&marks);
        thread::spawn(move || read(trace, &marks).map_err(|error| error.to_string()))
    };

    let mut objects = Objects::default();
    let mut first_mark = None;
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("marks", address)) => first_mark = Some(u64::from_str_radix(address, 16)?),
            Some(("map", mapped)) => objects.add(mapped)?,
            _ if line == "end" => break,
            _ => return Err(format!("the traced program says: {line}").into()),
        }
    }
    if let Some(first_mark) = first_mark {
        marks.set(first_mark).expect("it is set once");
        child.stdin.take().ok_or("no input")?.write_all(b"\n")?;
    }
    let status = child.wait()?;
    let (series, last) = reader.join().map_err(|_| "the reader panicked")??;
    if !status.success() || series.is_empty() {
        return Err(format!("{semaphore}, {}: no trace: {last}", workload.title()).into());
    }
    series.iter().map(|parts| digest(parts, &objects, disassembly)).collect()
}

/// Reads lines like these: an instruction, and what it stores, loads, or modifies.
///
/// ```text
/// I  04016b80,3
///  S 1ffefff538,8
///  L 001b58b1,1
///  M 1ffeffefc0,8
/// ```
///
/// Returns the series, and the last line that is none of these.
fn read(mut trace: impl BufRead, marks: &OnceLock<u64>) -> Result<(Vec<Vec<RawPart>>, String)> {
    let mut series: Vec<Vec<RawPart>> = Vec::new();
    let mut part: Option<RawPart> = None;
    let (mut instruction, mut other, mut line) = (0, String::new(), Vec::new());
    loop {
        line.clear();
        if trace.read_until(b'\n', &mut line)? == 0 {
            return Ok((series, other));
        }
        let Some((kind, address, bytes)) = fields(&line) else {
            other = String::from_utf8_lossy(&line).trim_end().to_owned();
            continue;
        };
        if kind == b'I' {
            instruction = address;
            if let Some(part) = &mut part {
                part.rest += 1;
            }
            continue;
        }
        let mark = marks.get().and_then(|first| address.checked_sub(*first));
        match mark.map(usize::try_from) {
            Some(Ok(NEW_SERIES)) => series.push(Vec::new()),
            Some(Ok(END)) => {
                let parts = series.last_mut().ok_or("an operation ends before a series begins")?;
                let mut ended = part.take().ok_or("an operation ends that did not begin")?;
                // The mark itself.
                ended.rest = ended.rest.saturating_sub(1);
                parts.push(ended);
            }
            Some(Ok(core)) if core < MARK_COUNT => {
                if part.replace(RawPart { core, ..RawPart::default() }).is_some() {
                    return Err("two operations are mixed".into());
                }
            }
            _ => {
                if let Some(part) = &mut part {
                    let writes = kind != b'L';
                    // A locked instruction is told as a load and a store of its own.
                    let before = part.accesses.last_mut().filter(|before| {
                        part.rest == 0
                            && writes
                            && (before.instruction, before.address) == (instruction, address)
                    });
                    if let Some(before) = before {
                        before.writes = true;
                        continue;
                    }
                    let after = mem::take(&mut part.rest);
                    part.accesses.push(Raw { instruction, address, bytes, writes, after });
                }
            }
        }
    }
}

fn fields(line: &[u8]) -> Option<(u8, u64, u64)> {
    let (kind, rest) = match line {
        [b'I', b' ', b' ', rest @ ..] => (b'I', rest),
        [b' ', kind @ (b'S' | b'L' | b'M'), b' ', rest @ ..] => (*kind, rest),
        _ => return None,
    };
    let (address, bytes) = std::str::from_utf8(rest).ok()?.trim_end().split_once(',')?;
    Some((kind, u64::from_str_radix(address, 16).ok()?, bytes.parse().ok()?))
}

/// Keeps the accesses to lines that more than one core uses and that are written to. All others stay
/// in the cache of their core, and cost what an instruction costs.
fn digest(parts: &[RawPart], objects: &Objects, disassembly: &mut Disassembly) -> Result<Series> {
    let mut used: HashMap<u64, (usize, bool, bool)> = HashMap::new();
    for part in parts {
        for access in &part.accesses {
            let (core, shared, written) =
                used.entry(access.address / LINE).or_insert((part.core, false, false));
            *shared |= *core != part.core;
            *written |= access.writes;
        }
    }
    let is_kept = |access: &&Raw| matches!(used[&(access.address / LINE)], (_, true, true));
    let kept = || parts.iter().flat_map(|part| part.accesses.iter().filter(is_kept));
    let instructions: BTreeSet<u64> = kept().map(|access| access.instruction).collect();
    let locked = objects.locked(&instructions, disassembly)?;
    let by_instruction = objects.names(&instructions)?;
    let names: BTreeSet<String> = by_instruction.values().cloned().collect();
    let names: Vec<String> = names.into_iter().collect();

    let mut series = Series { names, ..Series::default() };
    for part in parts {
        series.cores = series.cores.max(part.core + 1);
        let (mut accesses, mut after) = (Vec::new(), 0);
        // The words of this part that were accessed before.
        let mut known = BTreeSet::new();
        for (i, raw) in part.accesses.iter().enumerate() {
            after += raw.after;
            if !is_kept(&raw) {
                continue;
            }
            let kind = match locked.get(&raw.instruction) {
                Some(Locked::Always) => Kind::Change,
                Some(Locked::CompareAndSwap) if takes_lock(part, i, &known, &locked) => Kind::Lock,
                Some(Locked::CompareAndSwap) => Kind::CompareAndSwap,
                None if raw.writes => Kind::Write,
                None => Kind::Read,
            };
            known.insert(raw.address);
            let name = &by_instruction.get(&raw.instruction).ok_or("no name")?;
            let name = series.names.binary_search(name).map_err(|_| "no name")?;
            let after = mem::take(&mut after);
            let (word, line) = (raw.address, raw.address / LINE);
            accesses.push(Access { after, line, word, kind, name });
        }
        unlock(&mut accesses);
        series.parts.push(Part { core: part.core, accesses, rest: after + part.rest });
    }
    Ok(series)
}

/// Whether a compare-and-swap takes a lock: a word of a byte or four, which this part has not read
/// before, so that it knows what a free lock looks like, and which it unlocks later by another locked
/// instruction.
fn takes_lock(
    part: &RawPart,
    at: usize,
    known: &BTreeSet<u64>,
    locked: &HashMap<u64, Locked>,
) -> bool {
    let this = &part.accesses[at];
    let unlocks =
        |later: &Raw| later.address == this.address && locked.contains_key(&later.instruction);
    matches!(this.bytes, 1 | 4)
        && !known.contains(&this.address)
        && part.accesses[at + 1..].iter().any(unlocks)
}

/// The next locked instruction on the word of a lock that was taken unlocks it.
fn unlock(accesses: &mut [Access]) {
    for i in 0..accesses.len() {
        if accesses[i].kind == Kind::Lock {
            let word = accesses[i].word;
            let unlocks = |it: &&mut Access| {
                it.word == word && matches!(it.kind, Kind::CompareAndSwap | Kind::Change)
            };
            if let Some(unlocks) = accesses[i + 1..].iter_mut().find(unlocks) {
                unlocks.kind = Kind::Unlock;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_instruction_is_one_access() {
        let marks = OnceLock::from(0x1000);
        let mark = |which: usize| format!(" S {:08x},1\n", 0x1000 + which);
        let locked = "I  00002000,4\n L 00003000,8\n S 00003000,8\n";
        let other = "I  00002004,4\n L 00003008,8\nI  00002008,4\n S 00003008,8\n";
        let text =
            format!("==1== lackey\n{}{}{locked}{other}{}", mark(NEW_SERIES), mark(0), mark(END));
        let (series, last) = read(text.as_bytes(), &marks).unwrap();
        assert_eq!(last, "==1== lackey");
        let accesses = &series[0][0].accesses;
        let told: Vec<_> = accesses.iter().map(|it| (it.address, it.writes)).collect();
        assert_eq!(told, [(0x3000, true), (0x3008, false), (0x3008, true)]);
    }
}
