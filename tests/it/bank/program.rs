//! Runs the examples as programs; one that hangs is killed, and fails its test.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A program that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const NO_OPTIONS: [&str; 0] = [];

/// A file that tests may write.
pub(super) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The path of an example, which cargo builds next to the directory of this test's executable.
pub(super) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("this test is in target/<profile>/deps");
    let path = profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: `cargo build --examples` makes it", path.display());
    path
}

/// Starts an example, which is killed if the test ends before it does.
pub(crate) fn start(name: &str, options: impl IntoIterator<Item: AsRef<OsStr>>) -> Child {
    Command::new(example(name))
        .args(options)
        // It would ask for colours even in a pipe.
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the example can be started")
}

/// Runs an example to its end.
pub(crate) async fn run(name: &str, options: impl IntoIterator<Item: AsRef<OsStr>>) -> Output {
    to_the_end(start(name, options)).await
}

/// Reads what the program still prints, until it has ended.
pub(super) async fn to_the_end(program: Child) -> Output {
    within_patience(program.wait_with_output()).await.expect("the program has run")
}

pub(crate) async fn exit_code(program: &mut Child) -> Option<i32> {
    within_patience(program.wait()).await.expect("the program has run").code()
}

/// Awaits what a program does, unless it hangs: then the test ends, and with it the program.
async fn within_patience<F: IntoFuture>(event: F) -> F::Output {
    timeout(PATIENCE, event).await.expect("the program hangs")
}

pub(crate) type ProgramOutput = Lines<BufReader<ChildStdout>>;

pub(crate) fn output_of(program: &mut Child) -> ProgramOutput {
    BufReader::new(program.stdout.take().expect("the output is a pipe")).lines()
}

/// Reads lines up to one that contains `part`.
pub(crate) async fn lines_until(output: &mut ProgramOutput, part: &str) -> String {
    let reading = async {
        let mut read = String::new();
        while let Some(line) = output.next_line().await.expect("the output is text") {
            read += &line;
            read += "\n";
            if line.contains(part) {
                return read;
            }
        }
        panic!("no line with {part:?} in:\n{read}");
    };
    within_patience(reading).await
}

/// Presses Ctrl-C.
#[cfg(unix)]
pub(crate) fn ctrl_c(program: &Child) {
    send(program, rustix::process::Signal::INT);
}

/// Asks the program to end, as a supervisor does.
#[cfg(all(unix, feature = "tower"))]
pub(crate) fn terminate(program: &Child) {
    send(program, rustix::process::Signal::TERM);
}

#[cfg(unix)]
fn send(program: &Child, signal: rustix::process::Signal) {
    use rustix::process::{Pid, kill_process};

    let id = program.id().expect("the program runs");
    let id = Pid::from_raw(id.try_into().expect("ids are positive")).expect("ids are not zero");
    kill_process(id, signal).expect("the program takes signals");
}

pub(crate) fn text(output: &[u8]) -> &str {
    std::str::from_utf8(output).expect("the output is text")
}
