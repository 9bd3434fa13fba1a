//! `dogpile plugins doctor [NAME]`.

use std::path::{Path, PathBuf};

use dogpile::registry::{ABI_VERSION, EntryPoint, LibraryDescription, Manifest, PLUGIN_PATH, RegistryError};
use dogpile::sdk::did_you_mean;
use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Folders;
use crate::error::{CommandError, causes};
use crate::page::{Color, Page};
use crate::{plugin_files, workplace};

/// Everything that decides whether a plugin is found.
#[derive(Serialize)]
struct Diagnosis {
    abi_version: &'static str,
    architecture: &'static str,
    findings: Vec<Finding>,
    /// The result for the missing name.
    missed: Option<Missed>,
}

/// Something that was inspected.
#[derive(Serialize)]
struct Finding {
    /// `environment`, `folders`, `folder`, `manifest`, `library`, or `skipped`.
    what: &'static str,
    path: Option<PathBuf>,
    /// The problem and what to do about it, if there is one.
    problem: Option<String>,
    /// What was found.
    seen: String,
}

#[derive(Serialize)]
struct Missed {
    name: String,
    offered: bool,
    result: String,
}

/// Inspects everything that decides whether a plugin is found.
pub(super) fn run(name: Option<&str>, asked: &Folders) -> Answered {
    let (registry, refused) = workplace::registry(asked)?;
    let mut findings = vec![environment()];
    findings.extend(refused.iter().map(refused_folder));
    findings.extend(registry.problems().iter().map(|problem| skipped(problem)));
    let folders = registry.folders();
    if folders.is_empty() && refused.is_empty() {
        let seen = "no folder is searched; name one with --folder, or a configuration with --config";
        findings.push(Finding { what: "folders", path: None, problem: None, seen: seen.to_owned() });
    }
    for folder in folders {
        look_into(&folder, &mut findings);
    }
    let missed = name.map(|name| missed(name, &registry.entry_points(), &findings));
    let (abi_version, architecture) = (ABI_VERSION, std::env::consts::ARCH);
    Ok(Box::new(Diagnosis { abi_version, architecture, findings, missed }))
}

fn environment() -> Finding {
    let seen = match std::env::var_os(PLUGIN_PATH) {
        Some(folders) if !folders.is_empty() => format!("{PLUGIN_PATH} is {}", folders.to_string_lossy()),
        _ => format!("{PLUGIN_PATH} is not set"),
    };
    Finding { what: "environment", path: None, problem: None, seen }
}

/// Returns what a registry skipped, and whether something is wrong with it.
fn skipped(problem: &RegistryError) -> Finding {
    let said = causes(problem).join(": ");
    let (problem, seen) = match problem {
        // The command links a plugin of this name. An application that does not link it uses the one of the library.
        RegistryError::Shadowed { name, origins } => {
            let [own, ignored] = &**origins;
            (None, format!("{name:?} of {ignored} is not used here: {own} comes first"))
        }
        _ => (Some(said), String::new()),
    };
    Finding { what: "skipped", path: None, problem, seen }
}

fn refused_folder(error: &CommandError) -> Finding {
    let problem = Some(causes(error).join(": "));
    Finding { what: "skipped", path: None, problem, seen: String::new() }
}

/// Inspects the manifests and libraries of `folder`.
fn look_into(folder: &Path, findings: &mut Vec<Finding>) {
    let files = plugin_files::files_in(folder);
    let count = |is: fn(&Path) -> bool| files.iter().filter(|file| is(file)).count();
    let (manifests, libraries) = (count(plugin_files::is_manifest), count(plugin_files::is_library));
    let seen = format!("manifests: {manifests}, libraries: {libraries}");
    let empty =
        "the folder contains no manifest; run `dogpile plugins pack`, which writes one beside a library";
    let problem = (manifests == 0).then(|| empty.to_owned());
    findings.push(Finding { what: "folder", path: Some(folder.to_owned()), problem, seen });
    let read = files.iter().filter(|file| plugin_files::is_manifest(file));
    let read: Vec<(&PathBuf, Manifest)> =
        read.filter_map(|path| Some((path, Manifest::read(path).ok()?))).collect();
    for (path, manifest) in &read {
        findings.push(of_manifest(path, manifest));
        findings.push(of_library(&folder.join(&manifest.library), manifest));
    }
    let announced = |file: &Path| read.iter().any(|(_, it)| Some(it.library.as_os_str()) == file.file_name());
    for file in files.iter().filter(|file| plugin_files::is_library(file) && !announced(file)) {
        let problem =
            Some("no manifest names it, so it is ignored; run `dogpile plugins pack`, which writes one");
        let (path, problem) = (Some(file.clone()), problem.map(str::to_owned));
        findings.push(Finding { what: "library", path, problem, seen: String::new() });
    }
}

fn of_manifest(path: &Path, manifest: &Manifest) -> Finding {
    let names: Vec<_> = manifest.entry_points.iter().map(|it| format!("{} {}", it.kind, it.name)).collect();
    let pin = if manifest.sha256.is_some() { "with" } else { "without" };
    let seen = format!("{} {}: {}; {pin} SHA-256", manifest.name, manifest.version, names.join(", "));
    let problem = names.is_empty().then(|| "the manifest lists no entry point".to_owned());
    Finding { what: "manifest", path: Some(path.to_owned()), problem, seen }
}

fn of_library(path: &Path, manifest: &Manifest) -> Finding {
    let finding = |problem, seen| Finding { what: "library", path: Some(path.to_owned()), problem, seen };
    match LibraryDescription::read(path, manifest.sha256.as_deref()) {
        Err(error) => finding(Some(causes(&error)[1..].join(": ")), String::new()),
        Ok(library) => {
            let absent = manifest.entry_points.iter().find(|entry| !library.entry_points.contains(entry));
            let problem = absent.map(|entry| {
                format!(
                    "the library does not provide the {} {:?}, which its manifest lists; pack it again",
                    entry.kind, entry.name
                )
            });
            let seen =
                format!("SDK {}, ABI {}, {}", library.sdk_version, library.abi_version, library.compiler);
            finding(problem.or(library.miscompilation), seen)
        }
    }
}

/// Returns the result for the missing entry point `name`.
fn missed(name: &str, entry_points: &[EntryPoint], findings: &[Finding]) -> Missed {
    let offers: Vec<&EntryPoint> = entry_points.iter().filter(|it| it.name == name).collect();
    let result = match offers.as_slice() {
        [] => {
            let hint = did_you_mean(name, entry_points.iter().map(|it| it.name.as_str()));
            format!("no linked crate and no manifest in the searched folders provides it{hint}")
        }
        [offer] => {
            let broken = findings.iter().find(|finding| {
                let library = finding.path.as_ref().map(|path| path.display().to_string());
                finding.problem.is_some()
                    && library.is_some_and(|path| offer.origin.to_string().contains(&path))
            });
            match broken.and_then(|finding| finding.problem.as_ref()) {
                Some(problem) => {
                    format!("it is a {} of {}, which is refused: {problem}", offer.kind, offer.origin)
                }
                None => format!("it is a {} of {}, and can be used", offer.kind, offer.origin),
            }
        }
        _ => {
            let origins: Vec<_> = offers.iter().map(|offer| offer.origin.to_string()).collect();
            format!("it is provided twice: by {}; remove one", origins.join(", and by "))
        }
    };
    Missed { name: name.to_owned(), offered: !offers.is_empty(), result }
}

impl Answer for Diagnosis {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("this host: ABI {}, {}", self.abi_version, self.architecture));
        for finding in &self.findings {
            let mark = match finding.problem {
                Some(_) => page.paint(Color::Red, "!"),
                None => page.paint(Color::Green, "+"),
            };
            let path = finding.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let dim = page.paint(Color::Dim, finding.what);
            page.line(format!("{mark} {dim} {path}"));
            if !finding.seen.is_empty() {
                page.wrapped("    ", "    ", &finding.seen);
            }
            if let Some(problem) = &finding.problem {
                page.wrapped("    ", "    ", problem);
            }
        }
        if let Some(missed) = &self.missed {
            let name = page.paint(Color::Bold, &missed.name);
            page.wrapped(&format!("{name}: "), "    ", &missed.result);
        }
    }

    fn is_good(&self) -> bool {
        let found = self.missed.as_ref().is_none_or(|missed| missed.offered);
        found && self.findings.iter().all(|finding| finding.problem.is_none())
    }
}
