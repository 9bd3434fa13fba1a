//! `dogpile plugins list`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dogpile::registry::{ABI_VERSION, EntryKind, EntryPoint, LibraryDescription, Origin};
use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Folders;
use crate::error::causes;
use crate::page::{Color, Page, padded};
use crate::{plugin_files, workplace};

/// The entry points and the problems.
#[derive(Serialize)]
struct Listed {
    entry_points: Vec<Line>,
    /// What was skipped.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    kind: EntryKind,
    origin: &'static str,
    package: Option<String>,
    version: Option<String>,
    sdk_version: Option<String>,
    abi_version: Option<String>,
    compiler: Option<String>,
    library: Option<PathBuf>,
    manifest: Option<PathBuf>,
    /// `ok`, or the reason why it cannot be used.
    state: String,
}

/// The opened libraries, each with its description or the reason for its refusal.
type Opened = BTreeMap<PathBuf, Result<LibraryDescription, String>>;

/// Lists all entry points. Opens each library once.
pub(super) fn run(asked: &Folders) -> Answered {
    let (registry, refused) = workplace::registry(asked)?;
    let mut opened = Opened::new();
    let entry_points = registry.entry_points();
    let lines = entry_points.iter().map(|entry_point| {
        let mut others = entry_points
            .iter()
            .filter(|other| other.name == entry_point.name && !std::ptr::eq(*other, entry_point));
        let twice =
            others.next().map(|other| format!("provided twice: also by {}; remove one", other.origin));
        line(entry_point, twice, &mut opened)
    });
    let entry_points = lines.collect();
    let refused = refused.iter().map(|error| causes(error).join(": "));
    let problems = refused.chain(registry.problems().into_iter().map(|error| causes(&*error).join(": ")));
    Ok(Box::new(Listed { entry_points, problems: problems.collect() }))
}

fn line(entry_point: &EntryPoint, problem: Option<String>, opened: &mut Opened) -> Line {
    let mut line = Line::of(entry_point, problem);
    match &entry_point.origin {
        Origin::Linked { package, version } => {
            line.origin = "linked";
            (line.package, line.version) = (Some(package.clone()), Some(version.clone()));
            // What is linked in was built with the SDK of this command.
            line.sdk_version = Some(dogpile::sdk::SDK_VERSION.to_owned());
            line.abi_version = Some(ABI_VERSION.to_owned());
        }
        Origin::Library { path, package, version } => {
            line.origin = "library";
            (line.package, line.version) = (Some(package.clone()), Some(version.clone()));
            line.library = Some(path.clone());
            line.look_into(path, opened);
        }
        _ => {}
    }
    line
}

impl Line {
    fn of(entry_point: &EntryPoint, problem: Option<String>) -> Self {
        Line {
            name: entry_point.name.clone(),
            kind: entry_point.kind,
            origin: "code",
            package: None,
            version: None,
            sdk_version: None,
            abi_version: None,
            compiler: None,
            library: None,
            manifest: None,
            state: problem.unwrap_or_else(|| "ok".to_owned()),
        }
    }

    /// Completes the line of an entry point of the library at `path`, which is opened.
    fn look_into(&mut self, path: &PathBuf, opened: &mut Opened) {
        let manifest = plugin_files::manifest_of(path);
        let pin = manifest.as_ref().and_then(|(_, manifest)| manifest.sha256.clone());
        let described = opened.entry(path.clone()).or_insert_with(|| {
            LibraryDescription::read(path, pin.as_deref()).map_err(|error| causes(&error)[1..].join(": "))
        });
        self.manifest = manifest.map(|(path, _)| path);
        match described {
            Ok(library) => {
                self.sdk_version = Some(library.sdk_version.clone());
                self.abi_version = Some(library.abi_version.clone());
                self.compiler = Some(library.compiler.clone());
                let inside = library.entry_points.iter();
                if !inside.into_iter().any(|entry| entry.name == self.name && entry.kind == self.kind) {
                    self.state = "listed in the manifest, but not provided by the library".to_owned();
                }
            }
            Err(problem) => self.state = problem.clone(),
        }
    }

    fn show(&self, page: &mut Page) {
        let color = if self.is_good() { Color::Green } else { Color::Red };
        let state = page.paint(color, if self.is_good() { "ok" } else { "refused" });
        let name = page.paint(Color::Bold, &self.name);
        page.line(format!(
            "{}  {}  {}  {state}",
            padded(&name, 36),
            padded(&self.kind.to_string(), 7),
            self.origin
        ));
        let said = [
            self.package.as_ref().map(|name| format!("{name} {}", self.version.as_deref().unwrap_or(""))),
            self.sdk_version.as_ref().map(|version| format!("SDK {version}")),
            self.abi_version.as_ref().map(|version| format!("ABI {version}")),
            self.compiler.clone(),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if !said.is_empty() {
            page.wrapped("    ", "    ", &said.join(", "));
        }
        for (what, path) in [("library", &self.library), ("manifest", &self.manifest)] {
            if let Some(path) = path {
                page.line(format!("    {} {}", padded(what, 8), path.display()));
            }
        }
        if !self.is_good() {
            page.wrapped("    ", "    ", &self.state);
        }
    }

    fn is_good(&self) -> bool {
        self.state == "ok"
    }
}

impl Answer for Listed {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        self.entry_points.iter().for_each(|line| line.show(page));
        for problem in &self.problems {
            let mark = page.paint(Color::Yellow, "skipped");
            page.wrapped(&format!("{mark}: "), "    ", problem);
        }
    }

    fn is_good(&self) -> bool {
        self.problems.is_empty() && self.entry_points.iter().all(Line::is_good)
    }
}
