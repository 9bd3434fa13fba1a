//! The table of contents has each page of the book once, and each program is compiled.

use std::collections::BTreeSet;
use std::fs;

use crate::pages::{Page, root};

/// The pages whose programs another crate compiles, and the file in which it includes them.
const COMPILED_ELSEWHERE: [(&str, &str); 1] = [("docs/plugins.md", "examples/plugins/acme/src/lib.rs")];

fn chapters() -> Vec<Page> {
    let in_book = |page: &Page| page.path.parent().is_some_and(|folder| folder.ends_with("docs"));
    Page::all().into_iter().filter(in_book).filter(|page| !page.path.ends_with("SUMMARY.md")).collect()
}

#[test]
fn summary_lists_each_page_once() {
    let summary = Page::read("docs/SUMMARY.md").text;
    let listed: Vec<_> =
        summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(file, _)| file).collect();
    let unique: BTreeSet<_> = listed.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(unique.len(), listed.len(), "docs/SUMMARY.md lists a page twice: {listed:?}");
    let name = |page: &Page| page.path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(unique, chapters().iter().map(name).collect());
}

#[test]
fn programs_of_each_page_are_compiled() {
    let compiled_here = fs::read_to_string(root().join("tests/book/src/lib.rs")).unwrap();
    for page in chapters().into_iter().chain([Page::read("README.md")]) {
        let path = page.path.to_str().unwrap();
        if !page.text.contains("```rust") {
            continue;
        }
        let elsewhere = COMPILED_ELSEWHERE.iter().find(|(page, _)| *page == path);
        let compiled = match elsewhere {
            Some((_, by)) => fs::read_to_string(root().join(by)).unwrap().contains(&format!("/{path}\"")),
            None => compiled_here.contains(&format!("\"../../../{path}\"")),
        };
        assert!(compiled, "the programs of {path} are not compiled; list the page in tests/book/src/lib.rs");
    }
}

#[test]
fn programs_are_complete_and_run() {
    for page in chapters().into_iter().chain([Page::read("README.md")]) {
        let path = page.path.display();
        for (number, line) in page.text.lines().enumerate().map(|(number, line)| (number + 1, line)) {
            let raw = line.starts_with("```rust,ignore") || line.starts_with("```ignore");
            assert!(!raw, "{path}:{number}: the program is not compiled");
        }
        for (first, program) in page.blocks("rust") {
            let hidden = program.lines().position(|line| line == "#" || line.starts_with("# "));
            let at = hidden.map(|line| first + line);
            assert!(at.is_none(), "{path}:{}: this marker of doctests is visible on code hosts", at.unwrap());
        }
    }
}

/// Each test that `docs/guarantees.md` names is in the file to which its name is linked.
#[test]
fn tests_of_the_guarantees_exist() {
    let page = Page::read("docs/guarantees.md");
    let named: Vec<_> = page
        .text
        .split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`](../"))
        .filter_map(|(test, rest)| Some((test, rest.split_once(')')?.0)))
        .collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let has = |file: &str, test: &str| {
        fs::read_to_string(root().join(file)).unwrap().contains(&format!("fn {test}("))
    };
    let missing: Vec<_> = named.iter().filter(|(test, file)| !has(file, test)).collect();
    assert!(missing.is_empty(), "docs/guarantees.md names tests that do not exist: {missing:#?}");
}
