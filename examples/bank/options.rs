//! The command line.

use std::fs::File;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use rand::rngs::{SysRng, Xoshiro256PlusPlus};
use rand::{RngExt, SeedableRng, TryRng};

// Broken into lines by hand: to wrap them, clap would need the size of the terminal.
const ABOUT: &str = "\
A bank: its customers wait in line for a teller, who is a permit of a semaphore.

Customers come in at the same moment, each in a task of its own. Never are more
served at once than there are tellers, and they are served in the order in which
they came. A log tells the story, and then a timeline shows it.

Ctrl-C closes the bank: those being served finish, those waiting leave.
A second Ctrl-C ends the program at once.";

const EXAMPLES: &str = "\
Examples:
  bank                                The story: 2 tellers, 5 customers
  bank --tellers 3 --customers 12     A bigger bank
  bank --seed 7 --svg bank.svg        The same service times in every run, drawn to a file
  bank --tellers 10 --customers 1000 --min-service 2ms --max-service 9ms

Exit codes:
    0  All customers have been served
    1  The output could not be written
    2  Bad input: one sentence says what, and nothing has started
  130  Ctrl-C closed the bank
  141  Nobody reads the output any more, as in `bank | head -1`";

/// What the command line asks for.
#[derive(Debug, Parser)]
#[command(name = "bank", about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// How many tellers serve customers: the permits of the semaphore
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tellers: u16,

    /// How many customers come in
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) customers: u32,

    /// The shortest time that serving a customer takes, such as 300ms or 2s
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    #[arg(value_parser = humantime::parse_duration)]
    min_service: Duration,

    /// The longest time that serving a customer takes
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    #[arg(value_parser = humantime::parse_duration)]
    max_service: Duration,

    /// Repeats the service times of an earlier run, which printed its seed [default: random]
    #[arg(long, value_name = "NUMBER", default_value_t = random_seed(), hide_default_value = true)]
    pub(crate) seed: u64,

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
            // The first line says what is wrong; the rest repeats the usage.
            let message = error.to_string();
            let sentence = message.lines().next().unwrap_or_default();
            sentence.trim_start_matches("error: ").to_owned()
        })?;
        if options.min_service > options.max_service {
            return Err(format!(
                "--min-service ({}) is longer than --max-service ({})",
                humantime::format_duration(options.min_service),
                humantime::format_duration(options.max_service),
            ));
        }
        if let Some(path) = &options.svg {
            // To append nothing tells whether the file can be written, and leaves what is in it.
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|error| cannot_write(path, error).to_string())?;
        }
        Ok(options)
    }

    /// How long each customer's service takes, customer 1 first.
    ///
    /// The generator is one of those whose numbers rand promises never to change; those that it
    /// calls standard may change in any release, and with them the meaning of a seed.
    pub(crate) fn services(&self) -> impl Iterator<Item = Duration> {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        iter::repeat_with(move || generator.random_range(self.min_service..=self.max_service))
    }
}

/// Says which file an error is about.
pub(crate) fn cannot_write(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

/// A seed that is short enough to be typed again.
fn random_seed() -> u64 {
    SysRng.try_next_u32().expect("the system has random numbers").into()
}
