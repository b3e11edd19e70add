//! Traces with some words elsewhere: what another layout would change.

use std::collections::{HashMap, HashSet};

use crate::trace::Series;

/// Above all lines and words of a trace.
const ELSEWHERE: u64 = 1 << 60;

/// The words that functions access whose names contain `pattern`.
fn words(series: &Series, pattern: &str) -> HashSet<u64> {
    let matches: Vec<bool> = series.names.iter().map(|name| name.contains(pattern)).collect();
    let accesses = series.parts.iter().flat_map(|part| &part.accesses);
    accesses.filter(|access| matches[access.name]).map(|access| access.word).collect()
}

/// Gives each of the words that `pattern` selects a line of its own.
pub(crate) fn apart(series: &Series, pattern: &str) -> Series {
    sharded(series, pattern, 1)
}

/// Replaces each of the words by so many, each in a line of its own; a core uses one of them.
pub(crate) fn sharded(series: &Series, pattern: &str, shards: usize) -> Series {
    let chosen = words(series, pattern);
    let mut places = HashMap::new();
    let mut parts = series.parts.clone();
    for part in &mut parts {
        let shard = part.core % shards;
        for access in part.accesses.iter_mut().filter(|access| chosen.contains(&access.word)) {
            let next = ELSEWHERE + places.len() as u64;
            let place = *places.entry((access.word, shard)).or_insert(next);
            (access.line, access.word) = (place, place);
        }
    }
    Series { cores: series.cores, parts, names: series.names.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::{Access, Kind, Part};

    fn series() -> Series {
        let access = |word, name| Access { after: 0, line: 0, word, kind: Kind::Change, name };
        let part = |core| Part { core, accesses: vec![access(0, 0), access(8, 1)], rest: 0 };
        Series {
            cores: 2,
            parts: vec![part(0), part(1)],
            names: vec!["tail".into(), "head".into()],
        }
    }

    #[test]
    fn a_word_moves_to_a_line_of_its_own() {
        let moved = apart(&series(), "tail");
        let lines =
            |part: &Part| part.accesses.iter().map(|access| access.line).collect::<Vec<_>>();
        assert_eq!(lines(&moved.parts[0]), [ELSEWHERE, 0]);
        assert_eq!(lines(&moved.parts[1]), [ELSEWHERE, 0]);
    }

    #[test]
    fn each_shard_is_a_word_of_its_own() {
        let moved = sharded(&series(), "head", 2);
        let words: Vec<_> = moved.parts.iter().map(|part| part.accesses[1].word).collect();
        assert_ne!(words[0], words[1]);
        assert_eq!(moved.parts[0].accesses[0].word, moved.parts[1].accesses[0].word);
    }
}
