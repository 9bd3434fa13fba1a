//! Finds the texts that people read in a file.

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Documentation of a module or of a public item.
    Public,
    /// The name of a test.
    Test,
    /// Anything else.
    Prose,
}

/// One text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its first line, from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// Returns the text of a Markdown or TOML file, without its inline code and the targets of its links.
pub(crate) fn of_prose(source: &str) -> Vec<Text> {
    vec![Text { line: 1, kind: Kind::Prose, text: without_code(source) }]
}

/// Returns the comments, documentation, string literals, and test names of a Rust source.
pub(crate) fn of_rust(source: &str) -> Vec<Text> {
    let mut reader = Reader { rest: source, line: 1, texts: Vec::new(), test: false };
    while !reader.rest.is_empty() {
        reader.step();
    }
    reader.texts
}

/// Removes the targets of links, and replaces inline code, which ends at an empty line at the latest. Fenced code stays,
/// because it contains comments.
fn without_code(text: &str) -> String {
    let mut linked = text.split("](");
    let mut text = linked.next().unwrap_or_default().to_owned();
    for part in linked {
        text.push_str(part.split_once(')').map_or("", |(_, after)| after));
    }
    let (mut kept, mut fenced, mut code) = (String::new(), false, false);
    for line in text.split_inclusive('\n') {
        let fence = line.trim().starts_with("```");
        fenced ^= fence;
        code &= !fence && !line.trim().is_empty();
        if fence || fenced {
            kept.push_str(if fence { "\n" } else { line });
            continue;
        }
        for c in line.chars() {
            if c == '`' {
                kept.push_str(if code { "`" } else { "`0" });
                code = !code;
            } else if !code || c == '\n' {
                kept.push(c);
            }
        }
    }
    kept
}

/// Replaces the arguments of a format string, such as `{name:?}`.
fn without_arguments(text: &str) -> String {
    let mut kept = String::new();
    for (n, part) in text.split('{').enumerate() {
        let after =
            part.split_once('}').filter(|(argument, _)| n > 0 && !argument.contains(char::is_whitespace));
        kept.push_str(if n > 0 { "{" } else { "" });
        kept.push_str(after.map_or(part, |(_, after)| after));
    }
    kept
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    texts: Vec<Text>,
    /// Whether an attribute was read that makes the next function a test.
    test: bool,
}

impl<'a> Reader<'a> {
    fn step(&mut self) {
        let (rest, prefix) = (self.rest, self.rest.trim_start_matches(['b', 'c']));
        let raw = prefix.strip_prefix('r').map(|raw| (raw, raw.trim_start_matches('#')));
        if rest.starts_with("//") {
            self.comment();
        } else if rest.starts_with("/*") {
            self.block();
        } else if let Some((raw, quoted)) = raw.filter(|(_, quoted)| quoted.starts_with('"')) {
            let end = format!("\"{}", &raw[..raw.len() - quoted.len()]);
            let text = &quoted[1..];
            self.take(rest.len() - text.len());
            let length = text.find(&end).unwrap_or(text.len());
            self.string(length, end.len());
        } else if let Some(text) = prefix.strip_prefix('"') {
            self.take(rest.len() - text.len());
            self.string(unescaped(text, '"'), 1);
        } else if let Some(text) = rest.strip_prefix('\'') {
            self.take(1 + character(text));
        } else if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            self.word();
        } else {
            let attribute = rest.starts_with("#[") && rest.lines().next().is_some_and(is_test_attribute);
            self.test |= attribute;
            self.take(rest.chars().next().map_or(0, char::len_utf8));
        }
    }

    /// Takes `length` bytes from the source.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn string(&mut self, length: usize, end: usize) {
        let line = self.line;
        let text = self.take(length).replace("\\n", "  ").replace("\\t", "  ");
        self.take(end);
        self.texts.push(Text { line, kind: Kind::Prose, text: without_arguments(&text) });
    }

    /// Takes a word, and the name after it if it declares a function.
    fn word(&mut self) {
        let length = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let word = self.take(length(self.rest));
        if word != "fn" || !self.rest.starts_with(' ') {
            return;
        }
        self.take(1);
        let (line, name) = (self.line, self.take(length(self.rest)));
        let is_case = self.rest.starts_with("(setup: &Setup) -> Outcome");
        if std::mem::take(&mut self.test) || is_case {
            self.texts.push(Text { line, kind: Kind::Test, text: name.replace('_', " ") });
        }
    }

    /// Takes all lines of a comment or of documentation.
    fn comment(&mut self) {
        let (line, mark) = (self.line, mark(self.rest));
        let mut text = String::new();
        loop {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            text.push_str(&self.take(end)[mark.len()..]);
            let next = self.rest.trim_start();
            if !next.starts_with("//") || self::mark(next) != mark {
                break;
            }
            let skipped = self.take(self.rest.len() - next.len());
            text.push_str(&"\n".repeat(skipped.matches('\n').count()));
        }
        let public = mark == "//!" || mark == "///" && is_public(self.rest);
        let kind = if public { Kind::Public } else { Kind::Prose };
        self.texts.push(Text { line, kind, text: without_code(&text) });
    }

    /// Takes a comment between `/*` and `*/`, which may contain others.
    fn block(&mut self) {
        let (line, mut depth, mut length) = (self.line, 0_usize, 0);
        for (at, _) in self.rest.char_indices() {
            let here = &self.rest[at..];
            if here.starts_with("/*") {
                depth += 1;
            } else if here.starts_with("*/") && depth <= 1 {
                break;
            } else if here.starts_with("*/") {
                depth -= 1;
            }
            length = at + 1;
        }
        let text = self.take(length + 1).to_owned();
        self.take(1);
        self.texts.push(Text { line, kind: Kind::Prose, text });
    }
}

/// Returns what the comment at the head of `source` begins with.
fn mark(source: &str) -> &'static str {
    let documentation = ["//!", "///"].into_iter().find(|mark| source.starts_with(mark));
    documentation.filter(|_| !source.starts_with("////")).unwrap_or("//")
}

/// Returns whether a public item follows, after attributes.
fn is_public(source: &str) -> bool {
    let mut code = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("#["));
    code.next().is_some_and(|item| item.starts_with("pub "))
}

/// Returns whether `line` is an attribute that makes a function a test, such as `#[tokio::test]`.
fn is_test_attribute(line: &str) -> bool {
    let name = line.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
    name == "test" || name.ends_with("::test")
}

/// Returns where the first `quote` in `text` is that no backslash precedes.
fn unescaped(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

/// Returns the length of a character literal after its first quote, or 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices();
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((_, _))) => 3 + text[2..].find('\'').unwrap_or(text.len()),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}
