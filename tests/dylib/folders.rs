//! Plugin folders: manifests, lazy opening, `DOGPILE_PLUGIN_PATH`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use dogpile::registry::{Manifest, RegistryError};
use dogpile::sdk::Arguments;
use dogpile::{Configuration, Registry};
use dogpile_tests::libraries::{install, library, write_manifest};
use dogpile_tests::threads::bounded;
use tempfile::tempdir;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use super::told;

const SHELF: &str = "acme.shelf";

/// Returns the error of building the shelf of the plugin in `folder`.
fn refusal_of_shelf(folder: &Path) -> String {
    let registry = Registry::empty();
    registry.add_folder(folder).unwrap();
    told(&registry.build_backend(SHELF, Arguments::default()).unwrap_err())
}

fn problems_of(folder: &Path) -> String {
    let registry = Registry::empty();
    registry.add_folder(folder).unwrap();
    registry.problems().iter().map(|problem| told(&**problem)).collect::<Vec<_>>().join("\n")
}

#[test]
#[cfg(target_os = "linux")]
fn library_is_opened_on_first_use_of_its_name() {
    let folder = tempdir().unwrap();
    let copy = folder.path().join("libacme_copy.so");
    fs::copy(library("acme-dogpile-dylib"), &copy).unwrap();
    let mut manifest = Manifest::describe(&library("acme-dogpile-dylib")).unwrap();
    manifest.library = "libacme_copy.so".into();
    write_manifest(&manifest, folder.path());
    let is_open = || fs::read_to_string("/proc/self/maps").unwrap().contains("libacme_copy.so");

    let registry = Registry::empty();
    registry.add_folder(folder.path()).unwrap();
    assert!(registry.entry_points().iter().any(|entry| entry.name == SHELF));
    assert!(!is_open(), "listing opened it");
    registry.build_backend(SHELF, Arguments::default()).unwrap();
    assert!(is_open());
}

/// A log sink that uses a plugin at each event of the registry.
struct Uses(Registry, Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Uses {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "dogpile::registry" {
            self.0.build_backend(SHELF, Arguments::default()).unwrap();
            self.1.fetch_add(1, SeqCst);
        }
    }
}

/// The host logs that it opened a library.
#[test]
fn log_sink_may_use_the_library_that_it_hears_of() {
    bounded(|| {
        let folder = tempdir().unwrap();
        install(&library("acme-dogpile-dylib"), folder.path());
        let registry = Registry::empty();
        registry.add_folder(folder.path()).unwrap();
        let used = Arc::new(AtomicUsize::new(0));
        let uses = Uses(registry.clone(), used.clone());
        let _kept = tracing_subscriber::registry().with(uses).set_default();
        registry.build_backend(SHELF, Arguments::default()).unwrap();
        assert!(used.load(SeqCst) > 0);
    });
}

#[test]
fn plugin_folders_are_relative_to_the_configuration() {
    let folder = tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    install(&library("acme-dogpile-dylib"), &plugins);
    let file = folder.path().join("regions.toml");
    let text = "[plugins]\npath = [\"plugins\"]\n[regions.shelf]\nbackend = \"acme.shelf\"\n\
                wrap = [{ name = \"acme.hit_counter\", arguments = { label = \"shelf\" } }]\n";
    fs::write(&file, text).unwrap();
    let regions = Configuration::from_file(&file).unwrap().regions().unwrap();
    assert_eq!(regions.get("shelf").unwrap().get_or_create("key", || 3).unwrap(), 3);
}

#[test]
fn environment_variable_names_plugin_folders() {
    let (folder, empty) = (tempdir().unwrap(), tempdir().unwrap());
    install(&library("acme-dogpile-dylib"), folder.path());
    let path = std::env::join_paths([empty.path(), folder.path(), Path::new("/nowhere/plugins")]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .arg("names")
        .env("DOGPILE_PLUGIN_PATH", path)
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    assert!(names.contains("backend acme.shelf: plugin acme-dogpile-dylib 0.1.0"), "{names}");
    assert!(names.contains("problem: plugin folder \"/nowhere/plugins\""), "{names}");
}

#[test]
fn unnamed_folders_are_not_searched() {
    assert_eq!(Registry::empty().folders(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn manifest_is_read_back_as_written() {
    let folder = tempdir().unwrap();
    let manifest = Manifest::describe(&library("acme-dogpile-dylib")).unwrap();
    assert_eq!(Manifest::read(&write_manifest(&manifest, folder.path())).unwrap(), manifest);
    assert_eq!(manifest.entry_points.len(), 2);
}

#[test]
fn library_with_another_hash_is_not_opened() {
    let folder = tempdir().unwrap();
    let copy = install(&library("acme-dogpile-dylib"), folder.path());
    let mut bytes = fs::read(&copy).unwrap();
    bytes.push(0);
    fs::write(&copy, bytes).unwrap();
    let told = refusal_of_shelf(folder.path());
    assert!(told.contains("SHA-256") && told.contains("install the library again"), "{told}");
}

#[test]
fn missing_library_is_reported_when_needed_and_found_later() {
    let folder = tempdir().unwrap();
    let copy = install(&library("acme-dogpile-dylib"), folder.path());
    let away = folder.path().join("away");
    fs::rename(&copy, &away).unwrap();
    let registry = Registry::empty();
    registry.add_folder(folder.path()).unwrap();
    let error = registry.build_backend(SHELF, Arguments::default()).unwrap_err();
    assert!(matches!(error, RegistryError::Library(_)));
    assert!(told(&error).contains(copy.file_name().unwrap().to_str().unwrap()));
    fs::rename(&away, &copy).unwrap();
    registry.build_backend(SHELF, Arguments::default()).unwrap();
}

#[test]
fn manifest_with_a_false_entry_point_is_reported() {
    let folder = tempdir().unwrap();
    let mut manifest = Manifest::describe(&library("dogpile-memory-dylib")).unwrap();
    fs::copy(library("dogpile-memory-dylib"), folder.path().join(&manifest.library)).unwrap();
    manifest.entry_points[0].name = SHELF.to_owned();
    write_manifest(&manifest, folder.path());
    let told = refusal_of_shelf(folder.path());
    assert!(told.contains("the manifest lists the backend \"acme.shelf\""), "{told}");
    assert!(told.contains("backend dogpile.cache.memory"), "{told}");
}

#[test]
fn name_provided_by_two_plugins_is_refused_naming_both() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    install(&library("acme-dogpile-dylib"), one.path());
    install(&library("acme-dogpile-dylib"), two.path());
    let registry = Registry::empty();
    registry.add_folder(one.path()).unwrap();
    registry.add_folder(two.path()).unwrap();
    let told = told(&registry.build_backend(SHELF, Arguments::default()).unwrap_err());
    for folder in [&one, &two] {
        assert!(told.contains(folder.path().canonicalize().unwrap().to_str().unwrap()), "{told}");
    }
    assert_eq!(registry.problems().len(), 2, "both names of the plugin are offered twice");
}

#[test]
fn broken_manifest_is_skipped_and_reported_with_its_line() {
    let folder = tempdir().unwrap();
    let broken = [
        ("syntax", "name = \n", "line 1"),
        ("unknown", "name = \"a\"\nversion = \"1\"\nlibrary = \"a.so\"\nentrypoints = []\n", "line 4"),
        ("path", "name = \"a\"\nversion = \"1\"\nlibrary = \"../a.so\"\nentry_points = []\n", "plain name"),
        (
            "pin",
            "name = \"a\"\nversion = \"1\"\nlibrary = \"a.so\"\nsha256 = \"x\"\nentry_points = []\n",
            "64",
        ),
    ];
    for (name, text, _) in broken {
        fs::write(folder.path().join(format!("{name}.dogpile.toml")), text).unwrap();
    }
    install(&library("acme-dogpile-dylib"), folder.path());
    let problems = problems_of(folder.path());
    for (name, _, said) in broken {
        let line = problems.lines().find(|line| line.contains(&format!("{name}.dogpile.toml")));
        assert!(line.is_some_and(|line| line.contains(said)), "{name}: {problems}");
    }
    let registry = Registry::empty();
    registry.add_folder(folder.path()).unwrap();
    registry.build_backend(SHELF, Arguments::default()).unwrap();
}

#[test]
fn missing_folder_is_refused() {
    let told = told(&Registry::empty().add_folder("/nowhere/plugins").unwrap_err());
    assert!(told.contains("/nowhere/plugins") && told.contains("No such file"), "{told}");
}

#[test]
#[cfg(unix)]
fn folder_or_manifest_writable_by_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempdir().unwrap();
    install(&library("acme-dogpile-dylib"), folder.path());
    let manifest = folder.path().join("acme-dogpile-dylib.dogpile.toml");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o646)).unwrap();
    assert!(problems_of(folder.path()).contains("users other than its owner can write"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let told = told(&Registry::empty().add_folder(folder.path()).unwrap_err());
    assert!(told.contains("users other than its owner can write") && told.contains("chmod go-w"), "{told}");
}

/// A user who can rename a folder on the way to a plugin can replace the plugin.
#[test]
#[cfg(unix)]
fn folder_below_one_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let top = tempdir().unwrap();
    let plugins = top.path().join("shared/plugins");
    fs::create_dir_all(&plugins).unwrap();
    let copy = install(&library("acme-dogpile-dylib"), &plugins);
    let shared = top.path().canonicalize().unwrap().join("shared");
    let registry = Registry::empty();
    registry.add_folder(&plugins).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let advice = format!("chmod go-w {}\"", shared.display());
    let error = Registry::empty().add_folder(&plugins).unwrap_err();
    assert!(told(&error).contains(&advice), "{}", told(&error));
    for error in [
        Registry::empty().add_library(&copy).unwrap_err(),
        Manifest::read(&plugins.join("acme-dogpile-dylib.dogpile.toml")).unwrap_err(),
        registry.build_backend(SHELF, Arguments::default()).unwrap_err(),
    ] {
        assert!(told(&error).contains(&advice), "{}", told(&error));
    }
    // With the sticky bit, others cannot rename what is not theirs.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    registry.build_backend(SHELF, Arguments::default()).unwrap();
}

#[test]
#[cfg(unix)]
fn endless_or_special_manifest_is_skipped_at_once() {
    bounded(|| {
        let folder = tempdir().unwrap();
        install(&library("acme-dogpile-dylib"), folder.path());
        let fifo = folder.path().join("fifo.dogpile.toml");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("endless.dogpile.toml")).unwrap();
        fs::write(folder.path().join("large.dogpile.toml"), "#".repeat((64 << 10) + 1)).unwrap();
        fs::create_dir(folder.path().join("folder.dogpile.toml")).unwrap();
        let problems = problems_of(folder.path());
        for (name, says) in [
            ("fifo", "the path is not a file"),
            ("endless", "the path is not a file"),
            ("folder", "the path is not a file"),
            ("large", "the file is larger than the limit of 65536 bytes"),
        ] {
            let line = problems.lines().find(|line| line.contains(&format!("{name}.dogpile.toml")));
            assert!(line.is_some_and(|line| line.contains(says)), "{name}: {problems}");
        }
        let registry = Registry::empty();
        registry.add_folder(folder.path()).unwrap();
        registry.build_backend(SHELF, Arguments::default()).unwrap();
    });
}
