//! The command line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use clap::Parser;
use rand::rngs::{SysRng, Xoshiro256PlusPlus};
use rand::{RngExt, SeedableRng, TryRng};

// Broken into lines by hand: to wrap them, clap would need the size of the terminal.
const ABOUT: &str = "\
A bank: its customers wait in line for a teller, who is a permit of a semaphore.

Customers come in at the same moment, or spread out by --arrivals, each in a
task of its own. Never are more served at once than there are tellers, and they
are served strictly in the order in which they came. A log tells the story, and
then a timeline shows it. The log is in that order, too: its lines never
interleave. The Python program after which this was made does neither.

Ctrl-C closes the bank: those being served finish, those waiting leave.
A second Ctrl-C ends the program at once.

With --live, a screen shows the day as it happens, and keys run the bank:
  +  one more teller
  -  one less: if all of them serve, the one who is done first goes then
  c  closes the bank, as above
  q  or Ctrl-C: ends the day at once, and everyone leaves
The timeline follows when the day is over.";

const EXAMPLES: &str = "\
Examples, each after `cargo run --example bank --`:
  (nothing)                           The story: 2 tellers, 5 customers
  --tellers 3 --customers 12          A bigger bank
  --live                              The day on a screen, with keys
  --seed 7 --svg bank.svg             The same times again, drawn to a file
  --tellers 10 --customers 1000 --min-service 2ms --max-service 9ms

Exit codes:
    0  All customers have been served
    1  The output could not be written
    2  Bad input: one sentence says what, and nothing has started
  130  The bank was closed before the end of the day, by Ctrl-C or a key
  141  Nobody reads the output any more, as in `... | head -1`";

/// What the command line asks for.
#[derive(Debug, Parser)]
#[command(name = "bank", bin_name = "cargo run --example bank --", version)]
#[command(about = ABOUT, after_help = EXAMPLES, next_line_help = true)]
pub(crate) struct Options {
    /// How many tellers there are: permits of the semaphore
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    #[arg(value_parser = |text: &str| number(text, 1..=u16::MAX), allow_hyphen_values = true)]
    pub(crate) tellers: u16,

    /// How many customers come in [default: 5; 40 with --live]
    #[arg(long, value_name = "NUMBER", default_value_t = 5, hide_default_value = true)]
    #[arg(default_value_if("live", "true", "40"))]
    #[arg(value_parser = |text: &str| number(text, 0..=100_000_u32), allow_hyphen_values = true)]
    pub(crate) customers: u32,

    /// Over what time they come in, evenly [default: 0s; 20s with --live]
    #[arg(long, value_name = "DURATION", default_value = "0s", hide_default_value = true)]
    #[arg(default_value_if("live", "true", "20s"))]
    #[arg(value_parser = duration, allow_hyphen_values = true)]
    arrivals: Duration,

    /// The shortest time that a service takes: 300ms, 2s
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    #[arg(value_parser = duration, allow_hyphen_values = true)]
    min_service: Duration,

    /// The longest time that a service takes
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    #[arg(value_parser = duration, allow_hyphen_values = true)]
    max_service: Duration,

    /// Repeats the times of a run that printed this seed [default: random]
    #[arg(long, value_name = "NUMBER", default_value_t = random_seed(), hide_default_value = true)]
    #[arg(value_parser = |text: &str| number(text, 0..=u64::MAX), allow_hyphen_values = true)]
    pub(crate) seed: u64,

    /// Shows the day on a screen as it happens, if there is a terminal
    #[arg(long)]
    pub(crate) live: bool,

    /// Draws the timeline to an SVG file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Leaves out the timeline after the story
    #[arg(long)]
    pub(crate) no_chart: bool,
}

impl Options {
    /// Reads and checks the command line; an error is a sentence for whoever wrote it.
    ///
    /// `--help` is answered here, and ends the program.
    pub(crate) fn read() -> Result<Self, String> {
        let options = Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            // The first line says what is wrong, and a tip what was meant; the rest repeats the usage.
            let message = error.to_string();
            let mut lines = message.lines();
            let sentence = lines.next().unwrap_or_default().trim_start_matches("error: ");
            match lines.find_map(|line| line.trim().strip_prefix("tip: ")) {
                Some(tip) => format!("{sentence}; {tip}"),
                None => sentence.to_owned(),
            }
        })?;
        if options.min_service > options.max_service {
            return Err(format!(
                "--min-service ({}) is longer than --max-service ({})",
                humantime::format_duration(options.min_service),
                humantime::format_duration(options.max_service),
            ));
        }
        if let Some(path) = &options.svg {
            check_writable(path).map_err(|error| cannot_write(path, error).to_string())?;
        }
        Ok(options)
    }

    /// All who are to come in, in this order.
    ///
    /// The generator is one of those whose numbers rand promises never to change; those that it
    /// calls standard may change in any release, and with them the meaning of a seed.
    pub(crate) fn customers(&self) -> impl Iterator<Item = Customer> {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        (1..=self.customers).map(move |number| Customer {
            number,
            comes: self.arrivals.mul_f64(f64::from(number - 1) / f64::from(self.customers)),
            service: generator.random_range(self.min_service..=self.max_service),
        })
    }
}

/// A customer to come.
pub(crate) struct Customer {
    pub(crate) number: u32,
    /// How long after the first one.
    pub(crate) comes: Duration,
    pub(crate) service: Duration,
}

/// A whole number in `range`.
fn number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: Copy + PartialOrd + TryFrom<i128> + std::fmt::Display,
{
    let number: i128 = text.parse().map_err(|_| "not a whole number".to_owned())?;
    match T::try_from(number) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("not between {} and {}", range.start(), range.end())),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "not a number with a unit, such as 300ms or 2s".to_owned())
}

/// Where a drawing is made, before it takes the place of an earlier one as a whole.
fn draft(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{}.draft", process::id()));
    path.with_file_name(name)
}

/// Whether this is a pipe or a device, such as `/dev/stdout`: no file may take its place.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The file that a link leads to, which is replaced in place of the link.
fn behind_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Finds out whether the file can be written, and leaves what is there as it is.
fn check_writable(path: &Path) -> io::Result<()> {
    if is_special(path) {
        // To open a pipe would wait for its reader: an error shows when it is written.
        return Ok(());
    }
    if path.exists() {
        File::options().append(true).open(path)?;
    }
    let draft = draft(&behind_links(path));
    File::create(&draft)?;
    fs::remove_file(draft)
}

/// Writes the drawing: to a file as a whole, or not at all.
pub(crate) fn save(path: &Path, drawing: &svg::Document) -> io::Result<()> {
    let saved = if is_special(path) {
        svg::save(path, drawing)
    } else {
        let path = behind_links(path);
        let draft = draft(&path);
        svg::save(&draft, drawing).and_then(|()| fs::rename(&draft, path))
    };
    saved.map_err(|error| cannot_write(path, error))
}

/// Says which file an error is about.
fn cannot_write(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

/// A seed that is short enough to be typed again.
fn random_seed() -> u64 {
    SysRng.try_next_u32().expect("the system has random numbers").into()
}
