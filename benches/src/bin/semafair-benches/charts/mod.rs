//! The results as pictures.

mod growth;
mod locks;
mod ratios;
mod style;

use std::error::Error;
use std::path::Path;

use crate::catalogue::Shows;
use crate::locks::Contention;
use crate::report::Measured;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Draws a chart of all ratios, one of what locks cost, and one for each section of times; returns
/// their files' names.
pub(crate) fn draw(
    sections: &[Measured],
    contentions: &[Contention],
    folder: &Path,
) -> Result<Vec<String>> {
    let mut files = Vec::new();
    if locks::draw(contentions, &folder.join("locks.svg"))? {
        files.push("locks.svg".to_owned());
    }
    if ratios::draw(sections, &folder.join("ratios.svg"))? {
        files.push("ratios.svg".to_owned());
    }
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        if let Shows::Times { over } = section.shows {
            let file = format!("{}.svg", section.title.replace(": ", "-").to_lowercase());
            growth::draw(section, over, &folder.join(&file))?;
            files.push(file);
        }
    }
    Ok(files)
}
