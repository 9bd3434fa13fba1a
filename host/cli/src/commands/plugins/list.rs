//! `dogpile plugins list`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dogpile::registry::{ABI_VERSION, EntryKind, EntryPoint, LibraryDescription, Origin, RegistryError};
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
    /// What is used instead of it, if another one has its name and comes first.
    replaced_by: Option<String>,
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
    let mut entry_points: Vec<Line> = lines.collect();
    let mut problems: Vec<String> = refused.iter().map(|error| causes(error).join(": ")).collect();
    for problem in registry.problems() {
        match Line::of_ignored(&problem, &entry_points, &mut opened) {
            Some(mut line) => {
                let mut ignored = entry_points.iter().filter(|other| other.replaced_by.is_some());
                if let Some(other) =
                    ignored.find(|other| other.name == line.name).and_then(|other| other.library.as_ref())
                {
                    line.state = format!("provided twice: also by {}; remove one", other.display());
                }
                entry_points.push(line);
            }
            None => problems.push(causes(&*problem).join(": ")),
        }
    }
    // Those of one name are shown together.
    entry_points.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Box::new(Listed { entry_points, problems }))
}

fn line(entry_point: &EntryPoint, problem: Option<String>, opened: &mut Opened) -> Line {
    let mut line = Line::of(&entry_point.name, entry_point.kind, problem);
    line.set_origin(&entry_point.origin, opened);
    line
}

impl Line {
    fn of(name: &str, kind: EntryKind, problem: Option<String>) -> Self {
        Line {
            name: name.to_owned(),
            kind,
            origin: "code",
            package: None,
            version: None,
            sdk_version: None,
            abi_version: None,
            compiler: None,
            library: None,
            manifest: None,
            state: problem.unwrap_or_else(|| "ok".to_owned()),
            replaced_by: None,
        }
    }

    /// Returns the line of an entry point that is ignored, because the command itself has one with its name.
    ///
    /// Its library is not wrong: an application that does not link that name uses it.
    fn of_ignored(problem: &RegistryError, used: &[Line], opened: &mut Opened) -> Option<Self> {
        let RegistryError::Shadowed { name, origins } = problem else { return None };
        let [own, ignored] = &**origins;
        let kind = kind_in_manifest(ignored, name).or_else(|| {
            let own = used.iter().find(|line| line.name == *name)?;
            Some(own.kind)
        })?;
        let mut line = Line::of(name, kind, None);
        line.set_origin(ignored, opened);
        line.replaced_by = Some(match own {
            Origin::Linked { .. } => format!("the linked {name}"),
            own => format!("that of {own}"),
        });
        Some(line)
    }

    fn set_origin(&mut self, origin: &Origin, opened: &mut Opened) {
        match origin {
            Origin::Linked { package, version } => {
                self.origin = "linked";
                (self.package, self.version) = (Some(package.clone()), Some(version.clone()));
                // What is linked in was built with the SDK of this command.
                self.sdk_version = Some(dogpile::sdk::SDK_VERSION.to_owned());
                self.abi_version = Some(ABI_VERSION.to_owned());
            }
            Origin::Library { path, package, version } => {
                self.origin = "library";
                (self.package, self.version) = (Some(package.clone()), Some(version.clone()));
                self.library = Some(path.clone());
                self.look_into(path, opened);
            }
            _ => {}
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
        let state = match (self.is_good(), &self.replaced_by) {
            (true, None) => page.paint(Color::Green, "ok"),
            (true, Some(_)) => page.paint(Color::Yellow, "not used"),
            (false, _) => page.paint(Color::Red, "refused"),
        };
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
        if let Some(other) = &self.replaced_by {
            page.wrapped("    ", "    ", &format!("{other} is used instead"));
        }
    }

    fn is_good(&self) -> bool {
        self.state == "ok"
    }
}

/// Returns the kind of the entry point `name` of a library, as its manifest states it.
fn kind_in_manifest(library: &Origin, name: &str) -> Option<EntryKind> {
    let Origin::Library { path, .. } = library else { return None };
    let (_, manifest) = plugin_files::manifest_of(path)?;
    manifest.entry_points.iter().find(|entry| entry.name == name).map(|entry| entry.kind)
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
