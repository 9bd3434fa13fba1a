//! The Markdown files of the repository, and their lines.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A Markdown file.
pub(crate) struct Page {
    /// The path from the root folder.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &str) -> Page {
        Page { path: path.into(), text: fs::read_to_string(root().join(path)).unwrap() }
    }

    /// Returns all Markdown files of the repository, except those in hidden folders and in `target`.
    pub(crate) fn all() -> Vec<Page> {
        let mut pages = Vec::new();
        collect(&root(), Path::new(""), &mut pages);
        pages.sort_by(|one, other| one.path.cmp(&other.path));
        pages
    }

    /// Returns the numbered lines outside of code blocks, with code spans blanked.
    pub(crate) fn prose(&self) -> Vec<(usize, String)> {
        let mut fenced = false;
        let mut lines = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                lines.push((number + 1, without_code(line)));
            }
        }
        lines
    }

    /// Returns the code blocks whose info string is `language`, with the numbers of their first lines.
    pub(crate) fn blocks(&self, language: &str) -> Vec<(usize, String)> {
        let mut blocks: Vec<(usize, String)> = Vec::new();
        let mut open: Option<bool> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (open, line.trim().strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(info == language);
                    if info == language {
                        blocks.push((number + 2, String::new()));
                    }
                }
                (Some(_), Some(_)) => open = None,
                (Some(true), None) => {
                    let block = &mut blocks.last_mut().unwrap().1;
                    block.push_str(line);
                    block.push('\n');
                }
                _ => {}
            }
        }
        blocks
    }

    /// Returns the anchors of the headings, as code hosts and mdBook make them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (number, line) in self.prose() {
            if line.starts_with('#') {
                // The blanked line only shows that this is a heading: code belongs to its anchor.
                let heading = self.text.lines().nth(number - 1).unwrap();
                let base = anchor(heading.trim_start_matches('#'));
                let repeated = (0..).map(|n| if n == 0 { base.clone() } else { format!("{base}-{n}") });
                anchors.extend(repeated.into_iter().find(|anchor| !anchors.contains(anchor)));
            }
        }
        anchors
    }
}

fn collect(root: &Path, folder: &Path, pages: &mut Vec<Page>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            collect(root, &path, pages);
        } else if kind.is_file() && name.ends_with(".md") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            pages.push(Page { path, text });
        }
    }
}

/// Replaces the contents of code spans by spaces.
fn without_code(line: &str) -> String {
    let mut inside = false;
    let blank = |char| {
        inside ^= char == '`';
        if inside && char != '`' { ' ' } else { char }
    };
    line.chars().map(blank).collect()
}

fn anchor(heading: &str) -> String {
    let kept = |char: char| match char {
        ' ' => Some('-'),
        '-' | '_' => Some(char),
        _ => Some(char).filter(|char| char.is_alphanumeric()),
    };
    heading.trim().to_lowercase().chars().filter_map(kept).collect()
}

#[test]
fn anchors_are_those_of_code_hosts() {
    let text = "# One\n## `two_three`: four, Five!\n```sh\n# no heading\n```\n## One\n";
    let page = Page { path: PathBuf::new(), text: text.to_owned() };
    assert_eq!(page.anchors(), ["one", "two_three-four-five", "one-1"]);
}

#[test]
fn blocks_are_found_by_language() {
    let text = "```toml\na = 1\n```\n```rust\nfn f() {}\n```\n```toml\nb = 2\nc = 3\n```\n";
    let page = Page { path: PathBuf::new(), text: text.to_owned() };
    assert_eq!(page.blocks("toml"), [(2, "a = 1\n".to_owned()), (8, "b = 2\nc = 3\n".to_owned())]);
}
