//! Just enough of Rust's syntax for the rules: what is code and what is not, where a statement
//! begins, and which paths are named.

/// A source file.
pub(super) struct Source {
    pub(super) text: String,
    /// The text with comments, and what stands in quotes, blanked out; as long as the text.
    pub(super) code: String,
}

/// A path in code.
struct Found {
    path: String,
    /// Its last part, or what it is renamed to.
    name: String,
    /// Where it begins, or the group it is written in.
    at: usize,
}

/// The words (identifiers, keywords, numbers) of a text, each with where it begins.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].find(is_word)?;
        let start = at;
        let word = word_at(text, start);
        at += word.len();
        Some((start, word))
    })
}

/// The word that begins here; empty if none does.
pub(super) fn word_at(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), code: blanked(text) }
    }

    /// The number of the line of this place, from one.
    pub(super) fn line_of(&self, at: usize) -> usize {
        1 + self.code[..at].matches('\n').count()
    }

    /// Whether this place stands in a `use` declaration.
    pub(super) fn in_use(&self, at: usize) -> bool {
        // A declaration has braces, but no semicolon before its end.
        let before = &self.code[..at];
        let start = before.rfind(';').map_or(0, |end| end + 1);
        let found = words(&before[start..]).filter(|(_, word)| *word == "use").last();
        found.is_some_and(|(use_at, _)| {
            let between = &before[start + use_at..];
            between.matches('{').count() >= between.matches('}').count()
                && between.chars().all(|c| is_word(c) || " \n\t:{},*".contains(c))
        })
    }

    /// What is imported: the full path, and the name it has here.
    pub(super) fn imports(&self) -> Vec<(String, String)> {
        let imported = self.all_paths().into_iter().filter(|found| self.in_use(found.at));
        imported.map(|found| (found.path, found.name)).collect()
    }

    /// Whether a comment with this tag stands directly above the statement of this place, or
    /// between the beginning of the statement and it.
    pub(super) fn has_comment_above(&self, at: usize, tag: &str) -> bool {
        let (start, visible) = self.statement(at);
        let lines: Vec<&str> = self.text.lines().collect();
        let tagged = |line: &str| line.trim_start().starts_with("//") && line.contains(tag);
        if visible.iter().any(|&line| tagged(lines[line])) {
            return true;
        }
        let above = lines[..self.line_of(start) - 1].iter().rev();
        let attached = |line: &&&str| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with("#[")
        };
        above.take_while(attached).any(|line| tagged(line))
    }

    /// Where the statement (or match arm, or field) of this place begins, and which lines from
    /// there on, by index, stand in no nested block that is over.
    fn statement(&self, at: usize) -> (usize, Vec<usize>) {
        let code = self.code.as_bytes();
        let mut depth = 0_usize;
        let mut comma = None;
        let mut visible = Vec::new();
        let mut line = self.line_of(at) - 1;
        let mut begin = 0;
        for i in (0..at).rev() {
            match code[i] {
                b'\n' => {
                    if depth == 0 {
                        visible.push(line);
                    }
                    line -= 1;
                }
                b'}' if depth == 0 && self.ends_a_statement(i) => {
                    begin = i + 1;
                    break;
                }
                b')' | b']' | b'}' => depth += 1,
                b'(' | b'[' if depth == 0 => comma = None,
                b'(' | b'[' => depth -= 1,
                b'{' if depth == 0 => {
                    begin = comma.unwrap_or(i) + 1;
                    break;
                }
                b'{' => depth -= 1,
                b';' if depth == 0 => {
                    begin = i + 1;
                    break;
                }
                b',' if depth == 0 => comma = comma.or(Some(i)),
                _ => {}
            }
        }
        let begin = begin + (self.code[begin..].len() - self.code[begin..].trim_start().len());
        let first = self.line_of(begin) - 1;
        visible.retain(|line| *line > first);
        (begin, visible)
    }

    /// Whether what follows a closing brace is a new statement, and not the rest of the same one.
    fn ends_a_statement(&self, brace: usize) -> bool {
        let rest = self.code[brace + 1..].trim_start();
        let goes_on = rest.starts_with(['.', '?', ',', ')', ']', ';'])
            || ["else", "as"].contains(&word_at(rest, 0))
            || ["==", "!=", "&&", "||"].iter().any(|operator| rest.starts_with(operator));
        !goes_on
    }

    /// The full paths in code that begin with one of these words, with groups written out.
    pub(super) fn paths(&self, roots: &[&str]) -> Vec<String> {
        let begins = |path: &str| path.split("::").next().is_some_and(|root| roots.contains(&root));
        let paths = self.all_paths().into_iter().map(|found| found.path);
        paths.filter(|path| begins(path)).collect()
    }

    /// Every path of at least two parts, with groups written out.
    fn all_paths(&self) -> Vec<Found> {
        let mut paths = Vec::new();
        let mut done = 0;
        for (at, word) in words(&self.code) {
            let before = self.code[..at].trim_end();
            // In `pub(in crate::x)` the path is no import.
            let scope = before.ends_with("(in");
            if at >= done && !scope && self.code[at + word.len()..].starts_with("::") {
                done = self.expand(at, at, "", &mut paths);
            }
        }
        paths
    }

    /// Writes out the path, or group of paths, that begins at `at` as a part of the path that
    /// begins at `start`; returns where it ends.
    fn expand(&self, at: usize, start: usize, prefix: &str, paths: &mut Vec<Found>) -> usize {
        let skip = |at: usize| at + (self.code[at..].len() - self.code[at..].trim_start().len());
        let mut at = skip(at);
        if self.code[at..].starts_with('{') {
            at += 1;
            loop {
                at = skip(at);
                match self.code[at..].chars().next() {
                    Some(',') => at += 1,
                    Some('}') => return at + 1,
                    None => return at,
                    Some(_) => {
                        let next = self.expand(at, start, prefix, paths);
                        // Whatever this is, it is no path; go on behind it.
                        let step = self.code[at..].chars().next().map_or(1, char::len_utf8);
                        at = next.max(at + step);
                    }
                }
            }
        }
        let word = if self.code[at..].starts_with('*') { "*" } else { word_at(&self.code, at) };
        let path = format!("{prefix}{word}");
        at += word.len();
        let after = skip(at);
        if self.code[after..].starts_with("::") && !self.code[after + 2..].starts_with('<') {
            return self.expand(after + 2, start, &format!("{path}::"), paths);
        }
        let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
        let mut name = path.rsplit("::").next().unwrap_or_default().to_owned();
        if word_at(&self.code, after) == "as" {
            let alias = skip(after + 2);
            name = word_at(&self.code, alias).to_owned();
            at = alias + name.len();
        }
        paths.push(Found { path, name, at: start });
        at
    }
}

/// Replaces comments, and the insides of strings and characters, by spaces.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let inside = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(len) = quoted(rest, &out) {
            len
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let (gone, next) = rest.split_at(inside);
        out.extend(gone.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        rest = next;
    }
    out
}

/// How long the block comment is with which the text begins; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// How long the string or character is with which the text begins, if it begins with one.
fn quoted(text: &str, before: &str) -> Option<usize> {
    if text.starts_with('"') {
        return Some(escaped(text, '"'));
    }
    if let Some(after) = text.strip_prefix('\'') {
        // A lifetime has no closing quote after its first character.
        let mut chars = after.chars();
        let first = chars.next()?;
        return (first == '\\' || chars.next() == Some('\'')).then(|| escaped(text, '\''));
    }
    let raw = text.strip_prefix('r')?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let word_goes_on = before.ends_with(|c| is_word(c) && c != 'b' && c != 'c');
    let body = raw[hashes..].strip_prefix('"').filter(|_| !word_goes_on)?;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(1 + hashes + 1 + len)
}

/// How long the quoted text is, from its opening to its closing quote.
fn escaped(text: &str, quote: char) -> usize {
    let mut escape = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escape => escape = false,
            '\\' => escape = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
