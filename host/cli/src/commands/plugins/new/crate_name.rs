//! Which names a new crate can have.

use crate::error::CommandError;

/// The longest name that crates.io accepts, in bytes.
const LONGEST: usize = 64;

/// Words of the language, as cargo refuses them, and those of later editions.
const KEYWORDS: [&str; 53] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "macro_rules",
];

/// Crates that come with the compiler.
const STANDARD: [&str; 5] = ["alloc", "core", "proc_macro", "std", "test"];

/// Packages of this project.
const OURS: [&str; 11] = [
    "dogpile",
    "dogpile_abi",
    "dogpile_cli",
    "dogpile_conformance",
    "dogpile_dbm",
    "dogpile_macros",
    "dogpile_memcached",
    "dogpile_memory",
    "dogpile_minijinja",
    "dogpile_net",
    "dogpile_redis",
];

/// Names of devices, which no file of Windows can have. `com1` to `lpt9` follow from the last two.
const DEVICES: [&str; 6] = ["aux", "con", "nul", "prn", "com", "lpt"];

/// Returns an error with the reason unless `name` can be the name of a crate that depends on `dependencies`.
pub(super) fn check(name: &str, dependencies: &[String]) -> Result<(), CommandError> {
    match problem(name, dependencies) {
        None => Ok(()),
        Some(why) => Err(CommandError::other(format!(
            "{name:?} cannot be the name of the crate: {why}; choose a name such as \"acme-shelf\""
        ))),
    }
}

fn problem(name: &str, dependencies: &[String]) -> Option<String> {
    // Cargo and the compiler treat both separators as the same.
    let module = name.replace('-', "_");
    let is = |names: &[&str]| names.contains(&&*module);
    let owned = |why: &str| Some(why.to_owned());
    if !is_plain(name) {
        return owned(
            "expected a lower-case letter, then lower-case letters and digits, with single '-' or '_' between them",
        );
    }
    if name.len() > LONGEST {
        return Some(format!("it has {} characters, but crates.io accepts at most {LONGEST}", name.len()));
    }
    if is(&KEYWORDS) {
        return owned("it is a word of the language");
    }
    if is(&STANDARD) {
        return owned("a crate of the standard library has this name");
    }
    if dependencies.iter().any(|dependency| dependency.replace('-', "_") == module) {
        return owned("the new crate depends on a crate with this name");
    }
    if is(&OURS) {
        return owned("a package of dogpile has this name");
    }
    is_device(&module).then(|| "files cannot have this name on Windows".to_owned())
}

/// Returns whether `name` consists of words of lower-case letters and digits. Rust warns of other names.
fn is_plain(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split(['-', '_']).all(is_word)
}

fn is_device(name: &str) -> bool {
    let numbered = name.strip_suffix(|last: char| last.is_ascii_digit() && last != '0');
    DEVICES[..4].contains(&name) || numbered.is_some_and(|device| DEVICES[4..].contains(&device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> String {
        problem(name, &["serde".to_owned(), "dogpile-sdk".to_owned()]).unwrap_or_default()
    }

    #[test]
    fn invalid_crate_name_is_refused() {
        for name in
            ["", "Acme", "1st", "a b", "../x", "a.b", "ä", "-a", "_a", "a-", "a_", "a--b", "a-_b", "a\n"]
        {
            assert!(refused(name).starts_with("expected a lower-case letter"), "{name:?}");
        }
        assert!(refused(&"a".repeat(65)).starts_with("it has 65 characters"));
    }

    #[test]
    fn crate_name_with_another_meaning_is_refused() {
        for (name, expected) in [
            ("type", "word of the language"),
            ("where", "word of the language"),
            ("gen", "word of the language"),
            ("core", "standard library"),
            ("std", "standard library"),
            ("alloc", "standard library"),
            ("test", "standard library"),
            ("proc-macro", "standard library"),
            ("serde", "depends on"),
            ("dogpile-sdk", "depends on"),
            ("dogpile_sdk", "depends on"),
            ("dogpile", "package of dogpile"),
            ("dogpile-redis", "package of dogpile"),
            ("nul", "Windows"),
            ("com1", "Windows"),
        ] {
            assert!(refused(name).contains(expected), "{name}: {}", refused(name));
        }
    }

    #[test]
    fn other_crate_name_is_accepted() {
        for name in ["a", "acme-shelf_2", "dogpile-postgres", "serde-shelf", "com", "com0", "com12", "tests"]
        {
            assert_eq!(refused(name), "", "{name}");
        }
        assert_eq!(refused(&"a".repeat(64)), "");
    }
}
