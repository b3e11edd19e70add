//! The figures of each machine, in files beside the page: a run on one machine can show what was
//! measured on the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use semafair_benches::{Semafair, Semaphore};
use serde::{Deserialize, Serialize};

use crate::locks::Contention;
use crate::machine;
use crate::measure::Clock;
use crate::report::{Measured, semaphores};

/// How far two machines may lie apart, and still not differ.
pub(crate) const ALIKE: f64 = 0.05;

/// All ratios of a run, and what it says of locks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) processor: String,
    pub(crate) date: String,
    rows: Vec<Ratios>,
    pub(crate) locks: Vec<Contention>,
}

/// The ratios to tokio's time, by semaphore.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Ratios {
    workload: String,
    /// As opposed to the wall clock.
    cpu_time: bool,
    ratios: BTreeMap<String, f64>,
}

impl Results {
    /// Those of this run.
    pub(crate) fn new(sections: &[Measured], locks: &[Contention]) -> Self {
        let rows = sections.iter().flat_map(|section| &section.rows).map(|row| {
            let ratio = |name: &'static str| {
                // A digit more than is shown: the files are compared by eye too.
                Some((name.to_owned(), (row.ratio(name)? * 1000.0).round() / 1000.0))
            };
            Ratios {
                workload: row.workload().to_owned(),
                cpu_time: row.clock() == Clock::Cpu,
                ratios: semaphores().into_iter().filter_map(ratio).collect(),
            }
        });
        Self {
            processor: machine::processor(),
            date: machine::date(),
            rows: rows.collect(),
            locks: locks.to_vec(),
        }
    }

    /// Writes them to their machine's file, over those of an earlier run there.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        let folder = machines(folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(self.file()), serde_json::to_string_pretty(self)? + "\n")
    }

    /// Those of the other machines, in the order of their files' names.
    pub(crate) fn others(&self, folder: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(machines(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files =
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        files.retain(|file| {
            file.extension().is_some_and(|it| it == "json") && !file.ends_with(self.file())
        });
        files.sort();
        files.iter().map(|file| Ok(serde_json::from_slice(&fs::read(file)?)?)).collect()
    }

    /// The name of the machine's file: the words of its processor.
    fn file(&self) -> String {
        let words = self.processor.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        format!("{}.json", words.join("-").to_lowercase())
    }

    fn ours(&self, workload: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.workload == workload)?;
        row.ratios.get(Semafair::NAME).copied()
    }
}

fn machines(folder: &Path) -> PathBuf {
    folder.join("machines")
}

/// The ratios of semafair, one of each machine, of each workload in which machines differ; and of
/// how many workloads all machines have one.
pub(crate) fn differences(machines: &[&Results]) -> (Vec<(String, Vec<f64>)>, usize) {
    let Some((first, _)) = machines.split_first() else { return (Vec::new(), 0) };
    let compared = first.rows.iter().filter_map(|row| {
        let ours = machines.iter().map(|machine| machine.ours(&row.workload));
        Some((row.workload.clone(), ours.collect::<Option<Vec<_>>>()?))
    });
    let compared: Vec<_> = compared.collect();
    let count = compared.len();
    let differs = |ours: &[f64]| {
        let least = ours.iter().copied().fold(f64::INFINITY, f64::min);
        ours.iter().any(|ratio| ratio / least > 1.0 + ALIKE)
    };
    (compared.into_iter().filter(|(_, ours)| differs(ours)).collect(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(processor: &str, ours: &[(&str, f64)]) -> Results {
        let row = |&(workload, ratio): &(&str, f64)| Ratios {
            workload: workload.into(),
            cpu_time: true,
            ratios: BTreeMap::from([(Semafair::NAME.into(), ratio), ("other".into(), 2.0)]),
        };
        Results {
            processor: processor.into(),
            date: "2030-12-31".into(),
            rows: ours.iter().map(row).collect(),
            locks: Vec::new(),
        }
    }

    #[test]
    fn a_machine_finds_the_others_and_not_itself() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("results-{}", std::process::id()));
        let [one, other] = ["Chip(R) 9, 2 cores", "Chip(R) 9, 4 cores"]
            .map(|processor| results(processor, &[("acquire", 0.5)]));
        assert_eq!(one.others(&folder)?.len(), 0);
        one.save(&folder)?;
        other.save(&folder)?;
        one.save(&folder)?;
        let others = one.others(&folder)?;
        fs::remove_dir_all(&folder)?;
        let [found] = &others[..] else { panic!("{others:?}") };
        assert_eq!(found.processor, other.processor);
        assert_eq!(found.rows, other.rows);
        Ok(())
    }

    #[test]
    fn only_what_differs_and_all_have_is_shown() {
        let here = results("a", &[("acquire", 0.50), ("hand-off", 0.60), ("here", 0.7)]);
        let there = results("b", &[("there", 0.1), ("hand-off", 0.64), ("acquire", 0.51)]);
        let (rows, compared) = differences(&[&here, &there]);
        assert_eq!(rows, [("hand-off".to_owned(), vec![0.60, 0.64])]);
        assert_eq!(compared, 2);
    }
}
