//! `dogpile plugins new NAME`.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::New;
use crate::error::CommandError;
use crate::page::Page;
use crate::workplace;

/// The files and their templates. `{{name}}` stands for a value of [`Values`].
const FILES: [(&str, &str); 15] = [
    (".github/workflows/ci.yml", include_str!("new/ci.yml.in")),
    (".gitignore", include_str!("new/gitignore.in")),
    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
    ("README.md", include_str!("new/README.md.in")),
    ("dylib/Cargo.toml", include_str!("new/dylib.toml.in")),
    ("dylib/src/lib.rs", include_str!("new/dylib.rs.in")),
    ("rustfmt.toml", include_str!("new/rustfmt.toml.in")),
    ("src/backend.rs", include_str!("new/backend.rs.in")),
    ("src/checksum.rs", include_str!("new/checksum.rs.in")),
    ("src/config.rs", include_str!("new/config.rs.in")),
    ("src/lib.rs", include_str!("new/lib.rs.in")),
    ("src/slow_log.rs", include_str!("new/slow_log.rs.in")),
    ("tests/conformance.rs", include_str!("new/conformance.rs.in")),
    ("verify.toml", include_str!("new/verify.toml.in")),
    ("{{crate}}.dogpile.toml", include_str!("new/manifest.toml.in")),
];

/// Names that cargo or the compiler does not accept for a crate.
const TAKEN: [&str; 40] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "dyn", "else", "enum", "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop",
    "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "std", "struct", "test", "true",
    "type", "use", "while",
];

/// The files that were written.
#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    files: Vec<String>,
    entry_points: [String; 3],
}

/// The values that fill the templates.
struct Values(Vec<(&'static str, String)>);

/// Writes a crate with a backend, two proxies, a library, and tests that run the conformance suite.
pub(super) fn run(asked: &New) -> Answered {
    check(&asked.name)?;
    let values = Values::of(asked)?;
    let folder = asked.into.clone().unwrap_or_else(|| PathBuf::from(&asked.name));
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let folder = folder.display();
        return Err(CommandError::other(format!("{folder} is not empty; name another folder with --into")));
    }
    let mut files = Vec::new();
    for (name, template) in FILES {
        let name = values.fill(name);
        let path = folder.join(&name);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(CommandError::file("made", parent))?;
        workplace::write(&path, values.fill(template))?;
        files.push(name);
    }
    let prefix = values.fill("{{prefix}}");
    let entry_points = ["folder", "checksum", "slow_log"].map(|name| format!("{prefix}.{name}"));
    Ok(Box::new(Written { folder, files, entry_points }))
}

/// Returns whether `name` can be the name of a crate.
fn check(name: &str) -> Result<(), CommandError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain);
    if is_plain && !TAKEN.contains(&name) {
        return Ok(());
    }
    Err(CommandError::other(format!(
        "{name:?} cannot be the name of a crate; begin with a small letter, go on with small letters, digits, '-' \
         and '_', and take no word of the language"
    )))
}

impl Values {
    fn of(asked: &New) -> Result<Self, CommandError> {
        let module = asked.name.replace('-', "_");
        let library = format!("{DLL_PREFIX}{module}_dylib{DLL_SUFFIX}");
        let checkout = asked.checkout.as_deref();
        Ok(Values(vec![
            ("crate", asked.name.clone()),
            ("prefix", module.clone()),
            ("module", module),
            ("library", library),
            ("rust-version", env!("CARGO_PKG_RUST_VERSION").to_owned()),
            ("dogpile-sdk", dependency(checkout, "sdk")?),
            ("dogpile-conformance", dependency(checkout, "sdk/conformance")?),
        ]))
    }

    fn fill(&self, template: &str) -> String {
        let filled = self.0.iter();
        filled
            .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }
}

/// Returns the dependency on a package of ours: a version, or its folder in a checkout.
fn dependency(checkout: Option<&Path>, folder: &str) -> Result<String, CommandError> {
    let Some(checkout) = checkout else {
        return Ok(format!("{:?}", dogpile::sdk::SDK_VERSION));
    };
    let folder = checkout.join(folder);
    let folder = folder.canonicalize().map_err(CommandError::file("found", &folder))?;
    Ok(format!("{{ path = {} }}", toml::Value::from(folder.to_string_lossy().into_owned())))
}

impl Answer for Written {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("written into {}", self.folder.display()));
        self.files.iter().for_each(|file| page.line(format!("  {file}")));
        page.line(format!("entry points: {}", self.entry_points.join(", ")));
        page.line("next: `cargo test` there; its README.md says how to pack and use it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> New {
        New { name: name.to_owned(), into: None, checkout: None }
    }

    #[test]
    fn every_name_in_the_templates_has_a_value() {
        let values = Values::of(&asked("acme-shelf")).unwrap();
        for (name, template) in FILES {
            assert!(!values.fill(name).contains("{{") && !values.fill(template).contains("{{"), "{name}");
        }
    }

    #[test]
    fn invalid_crate_name_is_refused() {
        for name in ["", "Acme", "1st", "a b", "../x", "a.b", "type", "ä"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("acme-shelf_2").is_ok());
    }
}
