//! Where and when figures were taken.

use std::fs;
use std::process::Command;
use std::thread;

/// The model of the processor and the number of cores, as far as they can be found.
pub(crate) fn processor() -> String {
    let cores = thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{}, {cores} cores", model(&cpuinfo).unwrap_or("unknown processor"))
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

/// The model's name in the text of `/proc/cpuinfo`.
fn model(cpuinfo: &str) -> Option<&str> {
    let values =
        cpuinfo.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
    values.map(|(_, model)| model.trim()).find(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_among_other_lines() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A Chip 9\n\nprocessor\t: 1\n";
        assert_eq!(model(cpuinfo), Some("A Chip 9"));
        assert_eq!(model("processor\t: 0\n"), None);
    }
}
