//! Valgrind's `callgrind` tells how often each address was executed, and `objdump` what stands
//! there; this joins the two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::Command;
use std::{env, fs, io};

/// Averages over many rounds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) instructions: f64,
    pub(crate) locked: f64,
}

pub(crate) type Error = Box<dyn std::error::Error>;

/// Few enough to be quick, enough to average over what happens once in a segment of the line.
const ROUNDS: u32 = 10_000;

/// Counts what one round costs in each function when this program is called with these arguments
/// and a number of rounds.
///
/// Two runs that differ in nothing but the rounds are subtracted, so that what comes before and
/// after them cancels out.
pub(crate) fn per_round(arguments: &[&str]) -> Result<BTreeMap<String, Counts>, Error> {
    if !cfg!(target_arch = "x86_64") {
        return Err("only x86-64 has instructions with a lock".into());
    }
    let once = Profile::of(arguments, ROUNDS)?;
    let twice = Profile::of(arguments, 2 * ROUNDS)?;

    let mut locked_addresses = HashMap::new();
    let mut by_function: BTreeMap<String, Counts> = BTreeMap::new();
    for (place, executions) in &twice.0 {
        let before = once.0.get(place).copied().unwrap_or_default();
        let per_round = (executions - before) / f64::from(ROUNDS);
        if per_round <= 0.0 {
            continue;
        }
        let counts = by_function.entry(place.function.clone()).or_default();
        counts.instructions += per_round;
        // An object that ran is disassembled when it is first met.
        if !locked_addresses.contains_key(&place.object) {
            locked_addresses.insert(place.object.clone(), disassemble(&place.object)?);
        }
        if locked_addresses[&place.object].contains(&place.address) {
            counts.locked += per_round;
        }
    }
    Ok(by_function)
}

/// An instruction of the program or of a library.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    object: String,
    function: String,
    address: u64,
}

/// How often each instruction was executed.
struct Profile(HashMap<Place, f64>);

impl Profile {
    fn of(arguments: &[&str], rounds: u32) -> Result<Self, Error> {
        let file = env::temp_dir().join(format!("locked-{}.callgrind", std::process::id()));
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=callgrind", "--dump-instr=yes", "--dump-line=no"])
            .args(["--compress-pos=no", "--compress-strings=no"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(env::current_exe()?)
            .args(arguments)
            .arg(rounds.to_string());
        output(&mut valgrind)?;
        let profile = Self::parse(&fs::read_to_string(&file)?);
        fs::remove_file(&file)?;
        profile
    }

    /// Reads lines like these, of which the last, the inclusive cost of a call, is left out:
    ///
    /// ```text
    /// ob=/lib/x86_64-linux-gnu/libc.so.6
    /// fn=malloc
    /// 0x9b4c0 20000
    /// calls=10000 0x9ab20
    /// 0x9b4f4 1830000
    /// ```
    fn parse(text: &str) -> Result<Self, Error> {
        let mut executions = HashMap::new();
        let (mut object, mut function) = ("", "");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("ob=") {
                object = name;
            } else if let Some(name) = line.strip_prefix("fn=") {
                function = name;
            } else if line.starts_with("calls=") {
                lines.next();
            } else if let Some(cost) = line.strip_prefix("0x") {
                let (address, count) = cost.split_once(' ').ok_or("callgrind: no cost")?;
                let place = Place {
                    object: object.into(),
                    function: function.into(),
                    address: u64::from_str_radix(address, 16)?,
                };
                *executions.entry(place).or_default() += count.parse::<f64>()?;
            }
        }
        if executions.is_empty() {
            return Err("callgrind counted nothing".into());
        }
        Ok(Self(executions))
    }
}

/// The addresses of the locked instructions of an object.
fn disassemble(object: &str) -> Result<HashSet<u64>, Error> {
    let mut objdump = Command::new("objdump");
    objdump.args(["--disassemble", "--no-show-raw-insn", object]);
    let listing = output(&mut objdump)?;
    let addresses = listing
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .filter(|(_, instruction)| is_locked(instruction))
        .map(|(address, _)| u64::from_str_radix(address.trim(), 16));
    Ok(addresses.collect::<Result<_, _>>()?)
}

/// A `lock` prefix, or an `xchg` with memory, which locks without being told to.
fn is_locked(instruction: &str) -> bool {
    let mnemonic = instruction.split_whitespace().next();
    mnemonic == Some("lock")
        || mnemonic.is_some_and(|mnemonic| mnemonic.starts_with("xchg"))
            && instruction.contains(['(', ':'])
}

/// What a command prints, if it succeeds.
fn output(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{program} is not installed").into(),
        _ => Error::from(error),
    })?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::is_locked;

    #[test]
    fn locks_are_told_from_other_instructions() {
        assert!(is_locked("lock cmpxchg %rcx,(%rdi)"));
        assert!(is_locked("xchg   %al,0x8(%rbx)"));
        assert!(!is_locked("xchg   %ax,%ax"));
        assert!(!is_locked("cmpxchg %rcx,(%rdi)"));
    }
}
