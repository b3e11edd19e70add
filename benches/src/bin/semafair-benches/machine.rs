//! Where and when figures were taken.

use std::fs;
use std::process::Command;
use std::thread;

/// The model of the processor and the number of cores, as far as they can be found.
pub(crate) fn processor() -> String {
    let cores = thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{}, {cores} cores", model(&cpuinfo).unwrap_or("unknown processor".into()))
}

/// The day, as `2030-12-31`, in UTC.
pub(crate) fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// The operating system, and the compiler that cargo takes here.
pub(crate) fn system() -> String {
    let version = Command::new("rustc").arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let compiler = version.as_deref().map_or("unknown compiler", str::trim);
    format!("{}, {compiler}", std::env::consts::OS)
}

/// The model in the text of `/proc/cpuinfo`: its name, and its numbers, which tell apart what virtual
/// machines call by one name.
fn model(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines
            .map(|(it, value)| (it.trim(), value.trim()))
            .find(|&(it, value)| it == key && !value.is_empty())
    };
    let (_, name) = value("model name")?;
    let numbers = value("cpu family").zip(value("model"));
    Some(numbers.map_or(name.into(), |((_, family), (_, model))| {
        format!("{name} (family {family}, model {model})")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_among_other_lines() {
        let cpuinfo = "cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: A Chip 9\n\nprocessor\t: 1\n";
        assert_eq!(model(cpuinfo).as_deref(), Some("A Chip 9 (family 25, model 17)"));
        assert_eq!(model("model name\t: A Chip 9\n").as_deref(), Some("A Chip 9"));
        assert_eq!(model("processor\t: 0\n"), None);
    }
}
