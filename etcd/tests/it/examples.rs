//! The example programs, run as programs.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, test_kill_process};
use tokio::process::Command;

use crate::support::run;

/// The path of an example, which cargo builds next to the directory of this test's executable.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("this test is in target/<profile>/deps");
    let path = profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: `cargo build --examples` makes it", path.display());
    path
}

fn is_gone(id: &str) -> bool {
    let id = id.parse().ok().and_then(Pid::from_raw).expect("processes have numbers");
    test_kill_process(id).is_err()
}

/// What the log says of etcd's order, judged.
#[derive(Default)]
struct Story {
    /// By fence: everyone in the line, and whether it says that it holds a permit.
    line: BTreeMap<i64, bool>,
    /// By job, such as `worker 1, job 2`.
    fences: BTreeMap<String, i64>,
    revision: i64,
    granted: usize,
    /// How many had been granted when the killed worker's permit came back.
    came_back: Option<usize>,
}

impl Story {
    fn take(&mut self, line: &str) {
        let Some((revision, text)) = line.trim_start().split_once("  ") else { return };
        let Ok(revision) = revision.parse() else { return };
        // A lease that ends deletes all its keys at once.
        assert!(revision >= self.revision, "{line}");
        self.revision = revision;
        let words: Vec<_> = text.splitn(5, ' ').collect();
        let (job, what) = (words[..4].join(" "), words[4]);
        if what.starts_with("asks") {
            self.fences.insert(job, revision);
            self.line.insert(revision, false);
        } else if let Some(fence) = what.strip_prefix("has a permit, with fence ") {
            let fence = fence.parse().expect("it is a number");
            assert_eq!(self.fences[&job], fence, "{line}");
            let in_front = self.line.range(..fence).count();
            assert!(in_front < 2, "{line}: {in_front} are in front of it");
            self.line.insert(fence, true);
            let holders = self.line.values().filter(|&&holds| holds).count();
            assert!(holders <= 2, "{line}: {holders} hold permits");
            self.granted += 1;
        } else {
            let held = self.line.remove(&self.fences[&job]);
            if what.ends_with("its permit is back") {
                assert_eq!(held, Some(true), "{line}");
                self.came_back = Some(self.granted);
            }
        }
    }
}

#[test]
fn a_fleet_gets_the_permits_of_a_killed_worker_back() {
    run(async {
        let output = Command::new(example("fleet"))
            // It would ask for colours even in a pipe.
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = output.await.expect("the example can be started");
        let text = String::from_utf8(output.stdout).expect("it is text");
        println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
        assert!(!text.contains('\x1b'), "colours in a pipe");
        let mut story = Story::default();
        text.lines().for_each(|line| story.take(line));
        assert!(story.line.is_empty(), "keys are left: {:?}", story.line);
        let came_back = story.came_back.expect("the killed worker had a permit");
        assert!(story.granted > came_back, "nobody was granted after that");
        for part in ["· waiting", "█ with a permit", "x killed", "Held at once:    2 at most"] {
            assert!(text.contains(part), "no {part:?}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100), "too wide");
        let ids: Vec<_> = text.lines().filter_map(|line| line.split_once("as process ")).collect();
        assert_eq!(ids.len(), 4);
        for (_, id) in ids {
            assert!(is_gone(id.trim_end_matches('.')), "process {id} still runs");
        }
    });
}

#[test]
fn a_fleet_without_etcd_says_which_package_is_missing() {
    run(async {
        let output = Command::new(example("fleet")).env("ETCD", "/no/such/program").output();
        let output = output.await.expect("the example can be started");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains("Debian's package `etcd-server`"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    });
}
