//! The sections and code blocks of `docs/plugins.md`.

use std::fs;

use crate::packages::workspace;

/// The page.
pub(crate) struct Guide(String);

impl Guide {
    pub(crate) fn read() -> Self {
        Guide(fs::read_to_string(workspace().join("docs/plugins.md")).unwrap())
    }

    /// Replaces the vendor of the page in all names, because the workspace has a plugin of that vendor.
    pub(crate) fn of_vendor(self, vendor: &str, other: &str) -> Self {
        let [dash, under, dot] =
            ["-", "_", "."].map(|mark| (format!("{vendor}{mark}"), format!("{other}{mark}")));
        let renamed = [dash, under, dot].iter().fold(self.0, |text, (from, to)| text.replace(from, to));
        Guide(renamed)
    }

    /// Returns the text under the heading of the second level, up to the next such heading.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let start = format!("\n## {heading}\n");
        let (_, section) = self.0.split_once(&start).unwrap_or_else(|| panic!("no section {heading:?}"));
        section.split_once("\n## ").map_or(section, |(section, _)| section)
    }

    /// Returns the first code block of the section in this language.
    pub(crate) fn block(&self, heading: &str, language: &str) -> String {
        let section = self.section(heading);
        let block =
            section.split_once(&format!("```{language}\n")).and_then(|(_, rest)| rest.split_once("\n```"));
        let (block, _) = block.unwrap_or_else(|| panic!("no block of {language} in {heading:?}"));
        format!("{block}\n")
    }

    /// Returns the parts of the first program of the section before and after the comment that names the file `second`.
    ///
    /// The second part begins with the `use` of the first crate that the comment contains.
    pub(crate) fn program(&self, heading: &str, second: &str) -> (String, String) {
        let program = self.block(heading, "rust");
        let lines: Vec<&str> = program.lines().collect();
        let is_mark = |line: &&str| line.starts_with("//") && line.contains(second);
        let at =
            lines.iter().position(is_mark).unwrap_or_else(|| panic!("no comment names {second}:\n{program}"));
        let (first, rest) = lines.split_at(at);
        let comments = rest.iter().take_while(|line| line.starts_with("//")).count();
        let (comment, rest) = rest.split_at(comments);
        let comment = comment.join(" ");
        let spans = comment.split('`').skip(1).step_by(2);
        let imports: Vec<&str> = spans.filter(|code| code.starts_with("use ")).collect();
        (first.join("\n") + "\n", [imports.as_slice(), rest].concat().join("\n") + "\n")
    }
}

#[test]
fn program_is_split_at_the_named_file() {
    let page = "# Page\n\n## One\n\n```rust\nfn f() {}\n\n// In tests/a.rs, with\n// `use one::f;`.\nfn main() {}\n```\n\n## Two\n";
    let guide = Guide(page.to_owned());
    let (first, second) = guide.program("One", "tests/a.rs");
    assert_eq!((first.as_str(), second.as_str()), ("fn f() {}\n\n", "use one::f;\nfn main() {}\n"));
}
