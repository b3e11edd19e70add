//! A bank whose tellers are the permits of a semaphore.
//!
//! ```sh
//! cargo run --example bank
//! cargo run --example bank -- --live
//! cargo run --example bank -- --help
//! cargo run --example bank -- --tellers 10 --customers 1000 --min-service 2ms --max-service 9ms
//! ```
//!
//! Customers come in at the same moment, or spread out, each in a task of its own. Each waits for a teller,
//! is served for a random time, and is done. Two things can be seen in the log, and in the timeline
//! under it: never are more customers served at once than there are tellers, and they are served
//! strictly in the order in which they came. The lines of the log never interleave. (The Python
//! program after which this was made does neither.) Ctrl-C closes the bank, and with it the
//! semaphore: those being served finish, and those waiting leave.
//!
//! The semaphore is all in `story.rs`. It tells of each event once; the log and the live screen, the
//! chart and the drawing are four views of them.

mod axis;
mod chart;
mod day;
mod drawing;
mod fill;
mod grid;
mod live;
mod options;
mod screen;
mod story;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use options::Options;
use story::Bank;

/// What a shell reports for a program that ended by a signal: 128 and the signal's number.
const INTERRUPTED: u8 = 128 + 2;
const PIPE_CLOSED: u8 = 128 + 13;
const BAD_INPUT: u8 = 2;

// One thread, which runs tasks in the order in which they were spawned or woken: so customers come
// in by number, and the log tells of each event in the order in which the semaphore brought it
// about. On several threads the semaphore would be as fair, but two customers called one right
// after the other could say so in either order.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(BAD_INPUT);
        }
    };
    match run(&options).await {
        Ok(code) => code,
        // As in `bank | head -1`: the reader has seen enough, which is no error to tell of.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(PIPE_CLOSED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<ExitCode> {
    let live = options.live && live::is_possible();
    if options.live && !live {
        eprintln!(
            "--live needs a terminal for input and output, and not a dumb one: \
             the log tells the day instead."
        );
    }
    let bank = Arc::new(Bank::new(options, !live));
    if live {
        bank.open(options, live::show(&bank)).await?;
    } else {
        bank.open(options, story::close_on_ctrl_c(&bank)).await?;
    }
    let day = bank.day();
    story::say(&day.ending())?;

    // The file before the chart, so that it is there even if nobody reads on.
    if let Some(path) = &options.svg {
        options::save(path, &drawing::draw(&day))?;
    }
    // Drops the colours where there is no terminal, or where `NO_COLOR` is set.
    let mut out = anstream::stdout();
    if !options.no_chart && options.customers > 0 {
        write!(out, "\n{}", chart::draw(&day, chart::columns()))?;
    }
    write!(out, "\n{}", day.summary())?;
    if let Some(path) = &options.svg {
        writeln!(out, "Drawing:         {}", path.display())?;
    }
    Ok(if day.closed { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}
