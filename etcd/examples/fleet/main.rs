//! A fleet: three processes that share two permits. One of them is killed while it holds one.
//!
//! ```sh
//! cargo run -p semafair-etcd --example fleet
//! ```
//!
//! It starts etcd, and itself three more times as workers. Each worker has more jobs than it may run. The log is
//! etcd's: each line is a change of a key, with its revision. Of a worker that dies, etcd ends the lease after two
//! seconds: then its permit comes back, and its other request leaves the line.

// The axis of the bank's charts.
#[path = "../../../examples/bank/axis.rs"]
mod axis;
mod chart;
mod day;
#[path = "../node/mod.rs"]
mod node;
mod watch;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::signal::ctrl_c;

/// What a shell reports for a program that ended by a signal: 128 and the signal's number.
const INTERRUPTED: u8 = 128 + 2;
const PIPE_CLOSED: u8 = 128 + 13;
const BAD_INPUT: u8 = 2;

const WORKERS: usize = 3;
/// The one that is killed, once it holds a permit for its second job.
const VICTIM: usize = 2;
const PERMITS: u32 = 2;

/// Why the day ended early.
pub(crate) enum Failure {
    Io(io::Error),
    Text(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        Self::Text(error.to_string())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [word, number, endpoint] = &arguments[..] {
        if let (worker::WORD, Ok(number)) = (word.as_str(), number.parse()) {
            return worker::run(number, endpoint).await;
        }
    }
    if !arguments.is_empty() {
        eprintln!("error: there are no options");
        return ExitCode::from(BAD_INPUT);
    }
    // Whatever ends first, the day is dropped, and with it all processes.
    let result = tokio::select! {
        biased;
        Ok(()) = ctrl_c() => return ExitCode::from(INTERRUPTED),
        result = run() => result,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(PIPE_CLOSED)
        }
        Err(Failure::Io(error)) => failed(&error.to_string()),
        Err(Failure::Text(text)) => failed(&text),
    }
}

fn failed(text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::FAILURE
}

async fn run() -> Result<(), Failure> {
    let node = node::Node::start().await?;
    let mut out = anstream::stdout();
    writeln!(out, "etcd runs, as process {}.", node.id())?;
    let mut workers = worker::Workers::start(WORKERS, &node.endpoint())?;
    for (number, id) in workers.ids() {
        writeln!(out, "Worker {number} runs, as process {id}.")?;
    }
    let day = watch::watch(&node, &mut workers).await?;
    writeln!(out, "\n{}", chart::draw(&day, chart::columns()))?;
    write!(out, "{}", day.summary())?;
    Ok(())
}
