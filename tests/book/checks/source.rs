//! Reads the documented members of structs, enums, and `impl` blocks from source files.

use std::fs;

use crate::pages::root;

/// A field, a variant, or a public method, with its documentation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The paragraphs of its documentation, without examples.
    pub(crate) docs: String,
}

/// Returns the members of the item of `file` whose first line is `header`. Panics if there is none.
pub(crate) fn members(file: &str, header: &str) -> Vec<Member> {
    let source = fs::read_to_string(root().join(file)).unwrap();
    let members = members_of(&source, header);
    assert!(!members.is_empty(), "{file} has no members of {header:?}");
    members
}

fn members_of(source: &str, header: &str) -> Vec<Member> {
    let mut members = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut renamed = None;
    for line in source.lines().skip_while(|line| *line != header).skip(1).take_while(|line| *line != "}") {
        // Deeper lines belong to bodies.
        let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else { continue };
        if let Some(text) = line.strip_prefix("///") {
            docs.push(text.strip_prefix(' ').unwrap_or(text));
        } else if line.starts_with("#[") {
            renamed = renamed.or(line.split_once("rename = \"").and_then(|(_, rest)| rest.split('"').next()));
        } else if let Some(name) = name(line) {
            let name = renamed.take().unwrap_or(name).to_owned();
            members.push(Member { name, docs: paragraphs(&docs) });
            docs.clear();
        } else if !line.starts_with("//") {
            docs.clear();
        }
    }
    members
}

/// Returns the name of the member that begins on `line`.
fn name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(super) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    let (is_method, line) = line.strip_prefix("fn ").map_or((false, line), |line| (true, line));
    let end = line.find(|char: char| !char.is_alphanumeric() && char != '_')?;
    let (name, rest) = line.split_at(end);
    let is_field_or_variant =
        rest.starts_with(": ") || rest == "," || rest.ends_with("),") && rest.starts_with('(');
    (!name.is_empty() && (is_method || is_field_or_variant)).then_some(name)
}

/// Joins the lines of a documentation up to its first example or heading.
fn paragraphs(docs: &[&str]) -> String {
    let lines = docs.iter().take_while(|line| !line.starts_with("```") && !line.starts_with('#'));
    let text: Vec<&str> = lines.map(|line| line.strip_prefix("* ").unwrap_or(line).trim()).collect();
    text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn members_have_their_names_and_docs() {
    let source = "\
pub struct Config {
    /// Time limit.
    /// Default: 3.
    #[serde(with = \"seconds\")]
    pub limit: Option<Duration>,
    /// Idle time.
    ///
    /// ```
    /// example
    /// ```
    #[serde(alias = \"4\", rename = \"IDLE\")]
    pub idle: u32,
    plain: String,
}

impl Config {
    /// Sets the limit.
    pub fn limit(mut self) -> Self {
        self
    }
}
";
    let member = |name: &str, docs: &str| Member { name: name.to_owned(), docs: docs.to_owned() };
    let fields = members_of(source, "pub struct Config {");
    assert_eq!(
        fields,
        [member("limit", "Time limit. Default: 3."), member("IDLE", "Idle time."), member("plain", "")]
    );
    assert_eq!(members_of(source, "impl Config {"), [member("limit", "Sets the limit.")]);
}
