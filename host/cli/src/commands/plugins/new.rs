//! `dogpile plugins new NAME`.

mod crate_name;

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

/// The name that stands for another one while the dependencies of a new crate are looked up.
const ANY_NAME: &str = "any-name";

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
    crate_name::check(&asked.name, &dependencies()?)?;
    let values = Values::of(&asked.name, asked.checkout.as_deref())?;
    let folder = asked.into.clone().unwrap_or_else(|| PathBuf::from(&asked.name));
    if folder.exists() && !folder.is_dir() {
        let folder = folder.display();
        return Err(CommandError::other(format!("{folder} is not a folder; name another one with --into")));
    }
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

/// Returns the packages that a new crate depends on.
fn dependencies() -> Result<Vec<String>, CommandError> {
    let values = Values::of(ANY_NAME, None)?;
    let manifest: toml::Table = toml::from_str(&values.fill(include_str!("new/Cargo.toml.in")))
        .map_err(|error| CommandError::other(format!("the template of Cargo.toml is not valid: {error}")))?;
    let workspace = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let names = workspace.and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
    Ok(names.filter(|name| *name != ANY_NAME).cloned().collect())
}

impl Values {
    /// Returns the values for the crate `name`, which builds against a checkout or published packages.
    fn of(name: &str, checkout: Option<&Path>) -> Result<Self, CommandError> {
        let module = name.replace('-', "_");
        let library = format!("{DLL_PREFIX}{module}_dylib{DLL_SUFFIX}");
        Ok(Values(vec![
            ("crate", name.to_owned()),
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

    #[test]
    fn every_name_in_the_templates_has_a_value() {
        let values = Values::of("acme-shelf", None).unwrap();
        for (name, template) in FILES {
            assert!(!values.fill(name).contains("{{") && !values.fill(template).contains("{{"), "{name}");
        }
    }

    #[test]
    fn dependencies_are_those_of_the_template() {
        let dependencies = dependencies().unwrap();
        for name in ["dogpile-conformance", "dogpile-sdk", "log", "serde"] {
            assert!(dependencies.iter().any(|dependency| dependency == name), "{name} in {dependencies:?}");
        }
        assert!(!dependencies.iter().any(|dependency| dependency == ANY_NAME));
    }

    /// The crate's own CI checks this. Rust formats a line differently if it is too long.
    #[test]
    fn crate_with_a_name_of_any_length_is_formatted() {
        for name in
            ["a".to_owned(), "z".repeat(20), format!("acme-{}", "shelf-".repeat(10).trim_end_matches('-'))]
        {
            let (place, values) = (tempfile::tempdir().unwrap(), Values::of(&name, None).unwrap());
            let sources = FILES.iter().filter(|(file, _)| file.ends_with(".rs") || *file == "rustfmt.toml");
            let mut rustfmt = std::process::Command::new("rustfmt");
            rustfmt.args(["--check", "--edition", "2024"]);
            for (file, template) in sources {
                let path = place.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, values.fill(template)).unwrap();
                if file.ends_with(".rs") {
                    rustfmt.arg(path);
                }
            }
            let output = rustfmt.output().unwrap();
            let difference = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {difference}", name.len());
        }
    }
}
