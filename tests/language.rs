//! Texts that people read are plain English: no banned word, short first lines, short test names.
//!
//! The test reads comments, documentation, string literals, and test names of all Rust sources, all Markdown and TOML
//! files, and the templates of `dogpile plugins new`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "language/limits.rs"]
mod limits;
#[path = "language/texts.rs"]
mod texts;
#[path = "language/words.rs"]
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use self::texts::{Kind, Text};

/// This test's own files, which contain the banned words.
const OWN: &str = "tests/language";

/// Files that have objections. Remove an entry when its file has none; add none.
const KNOWN: &[&str] = &[];

/// Returns the objections to the texts of a file, each with its place.
fn objections(path: &str, source: &str) -> Vec<String> {
    let is_rust = path.trim_end_matches(".in").ends_with(".rs");
    let texts = if is_rust { texts::of_rust(source) } else { texts::of_prose(source) };
    let mut found = Vec::new();
    for Text { line, kind, text } in &texts {
        found.extend(words::banned(text).map(|(at, words)| format!("{path}:{}: \"{words}\"", line + at)));
        let long = match kind {
            Kind::Public if path.contains("src/") => limits::long_first_sentence(text),
            Kind::Test => limits::long_name(text),
            Kind::Public | Kind::Prose => None,
        };
        found.extend(long.map(|long| format!("{path}:{line}: {long}")));
    }
    found
}

/// Adds all Rust, Markdown, and TOML files under `folder`, except what cargo and git wrote.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, found);
            }
        } else if [".rs", ".md", ".toml", ".in"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

#[test]
fn texts_of_the_repository_are_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut paths, mut found, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    files(root, &mut paths);
    paths.sort();
    assert!(paths.len() > 500, "only {} files were found in {}", paths.len(), root.display());
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let wrong = objections(&name, &fs::read_to_string(&path).unwrap());
        match KNOWN.contains(&name.as_str()) {
            true if wrong.is_empty() => gone.push(name),
            false if !name.starts_with(OWN) => found.extend(wrong),
            _ => {}
        }
    }
    assert!(gone.is_empty(), "these files have no objections any more; remove them from KNOWN: {gone:?}");
    assert!(found.is_empty(), "{} texts need plainer words:\n{}", found.len(), found.join("\n"));
}

#[test]
fn banned_words_in_every_kind_of_text_are_found() {
    let source = r##"//! Whoever reads
//! this, in
//! vain.

/// It answers `nobody`.
#[test]
fn what_is_told_here() {
    let told = 'x'; // Nobody sees it.
    /* But for /* nested */ blank lines. */
    let lifetime: &'static str = "is no number: {told}\" in vain";
    let raw = r#"asks for "more""#;
}
"##;
    let expected = [
        "a.rs:1: \"whoever\"",
        "a.rs:2: \"in vain\"",
        "a.rs:5: \"answers\"",
        "a.rs:7: \"told\"",
        "a.rs:8: \"nobody\"",
        "a.rs:9: \"but for\"",
        "a.rs:9: \"blank\"",
        "a.rs:10: \"is no number\"",
        "a.rs:10: \"in vain\"",
        "a.rs:11: \"asks for\"",
    ];
    assert_eq!(objections("a.rs", source), expected);
    assert_eq!(objections("a.toml", "\n# Serialises it."), ["a.toml:2: \"serialises\""]);
    assert_eq!(objections("a.md", "As\nthere. `told`"), ["a.md:1: \"as there.\""]);
}

#[test]
fn allowed_words_are_not_found() {
    let source = r#"
/// There is no value, is there no way? The lock is no longer held, as there is `nobody`.
fn told(answers: &str) -> char {
    // A blanket. Not a word of "bushtold". It takes no more than one.
    let told = format!("{answers}{told:?}");
    'b'
}
"#;
    assert_eq!(objections("a.rs", source), Vec::<String>::new());
    assert_eq!(objections("a.md", "Returns the answer.\n\nSee [`told`](nobody.md)."), Vec::<String>::new());
}

#[test]
fn first_sentences_and_test_names_are_limited() {
    let fifteen = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";
    let public = |docs: &str| objections("src/a.rs", &format!("/// {docs}\n#[inline]\npub fn f() {{}}"));
    assert_eq!(public(&format!("{fifteen}. And more")), Vec::<String>::new());
    assert_eq!(
        public(&format!("{fifteen}\n/// `sixteen`")),
        ["src/a.rs:1: the first sentence has 16 words, not 15"]
    );
    assert_eq!(objections("src/a.rs", &format!("/// {fifteen} sixteen\nfn f() {{}}")), Vec::<String>::new());
    assert_eq!(objections("src/a.rs", &format!("//! {fifteen} sixteen")).len(), 1);
    assert_eq!(objections("tests/a.rs", &format!("//! {fifteen} sixteen")).len(), 0);

    let test = |name: &str| objections("src/a.rs", &format!("#[test]\nfn {name}() {{}}"));
    assert_eq!(test(&"a".repeat(60)), Vec::<String>::new());
    assert_eq!(test(&"a".repeat(61)), ["src/a.rs:2: the name of the test has 61 characters, not 60"]);
    assert_eq!(objections("src/a.rs", &format!("fn {}() {{}}", "a".repeat(61))), Vec::<String>::new());
}
