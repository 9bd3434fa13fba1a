//! Each relative link of a Markdown file leads to a file, and its anchor to a heading there.

use std::path::{Component, Path, PathBuf};

use crate::pages::{Page, root};

/// Returns the targets of the links and images on a line without code.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn is_elsewhere(target: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme))
}

/// Returns `path` without `.` and `..`, or `None` if it leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// Returns why the link `target` on `page` is broken, if it is.
fn problem(page: &Page, target: &str, pages: &[Page]) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let from = page.path.parent().unwrap();
    let Some(path) = (if path.is_empty() { Some(page.path.clone()) } else { normal(&from.join(path)) })
    else {
        return Some("it leaves the repository".to_owned());
    };
    let linked = pages.iter().find(|page| page.path == path);
    if linked.is_none() && !root().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let anchors = linked.map(Page::anchors).unwrap_or_default();
    let found = anchors.iter().any(|known| known == anchor);
    (!found).then(|| format!("{} has no heading #{anchor}; it has {}", path.display(), anchors.join(", ")))
}

fn broken_links(pages: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for (number, line) in page.prose() {
            for target in targets(&line).filter(|target| !is_elsewhere(target)) {
                if let Some(problem) = problem(page, target, pages) {
                    broken.push(format!("{}:{number}: ({target}): {problem}", page.path.display()));
                }
            }
        }
    }
    broken
}

#[test]
fn relative_links_and_anchors_exist() {
    let pages = Page::all();
    assert!(pages.iter().any(|page| page.path == Path::new("docs/async.md")), "the pages were not found");
    let broken = broken_links(&pages);
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let text =
        "[a](missing.md) [b](#one) [c](#two) `[d](code.md)` [e](https://example.org)\n# One\n[f](../..)";
    let page = Page { path: PathBuf::from("docs/page.md"), text: text.to_owned() };
    let broken = broken_links(&[page]);
    let expected = ["docs/page.md:1: (missing.md)", "docs/page.md:1: (#two)", "docs/page.md:3: (../..)"];
    assert_eq!(broken.len(), expected.len(), "{broken:#?}");
    assert!(
        broken.iter().zip(expected).all(|(broken, expected)| broken.starts_with(expected)),
        "{broken:#?}"
    );
}
