//! `dogpile plugins pack`, and the archives that it makes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use dogpile_tests::libraries::library;
use serde_json::json;

use crate::plugins::{entry, in_folder, manifest, packed, problems};
use crate::{Answer, Place, fits_a_terminal};

const ACME: &str = "acme-dogpile-dylib";

/// Returns the arguments that pack acme into `out`.
fn pack(out: &str) -> [String; 5] {
    ["plugins", "pack", library(ACME).to_str().unwrap(), "--out", out].map(str::to_owned)
}

/// Writes a manifest of acme with another name and version, and returns the arguments that name it.
fn named(place: &Place, name: &str, version: &str) -> [String; 2] {
    let text = format!(
        "name = '{name}'\nversion = '{version}'\nlibrary = 'l.so'\nentry_points = [{{ name = 'acme.shelf', kind = 'backend' }}]"
    );
    place.write("named.toml", &text);
    ["--manifest".to_owned(), "named.toml".to_owned()]
}

/// Returns the sorted names of the files in `folder`.
fn files(place: &Place, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(place.path(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn pack_is_stripped_pinned_and_loadable_in_both_forms() {
    let place = packed();
    let text = fs::read_to_string(manifest(&place)).unwrap();
    assert!(text.contains("sha256 = ") && text.contains("name = \"acme.shelf\""), "{text}");
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&in_folder(&place)) < size(&library("acme-dogpile-dylib")));
    let library = library("acme-dogpile-dylib");
    let archive = ["plugins", "pack", library.to_str().unwrap(), "--out", "acme.tar.gz"];
    place.run(&archive).good();
    let once = fs::read(place.path("acme.tar.gz")).unwrap();
    place.run(&archive).good();
    assert_eq!(once, fs::read(place.path("acme.tar.gz")).unwrap(), "the same library makes the same archive");
    let unpacked = Command::new("tar").args(["xzf", "acme.tar.gz"]).current_dir(place.path("")).status();
    assert!(unpacked.unwrap().success());
    let folder = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path());
    let folder =
        folder.into_iter().find(|path| path.to_string_lossy().contains("acme-dogpile-dylib-")).unwrap();
    let (code, listed) = place.json(&["plugins", "list", "--folder", folder.to_str().unwrap()]);
    assert_eq!((code, &entry(&listed, "acme.shelf")["state"]), (0, &"ok".into()));
}

#[test]
fn pack_is_usable_under_any_umask() {
    let place = Place::new();
    let pack = format!(
        "umask 000; '{}' plugins pack '{}' --out plugins",
        env!("CARGO_BIN_EXE_dogpile"),
        library("acme-dogpile-dylib").display()
    );
    let packed = Command::new("sh").args(["-c", &pack]).current_dir(place.path("")).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    assert_eq!(problems(&place), [""; 0]);
}

#[test]
fn manifest_names_a_pack_and_must_match_its_library() {
    let place = Place::new();
    let announce = |entry: &str| {
        let text = format!(
            "name = 'acme'\nversion = '7.1.0'\nlibrary = 'libacme_dogpile_dylib.so'\n\
             [[entry_points]]\nname = '{entry}'\nkind = 'backend'\n"
        );
        place.write("acme.dogpile.toml", &text);
    };
    let library = library("acme-dogpile-dylib");
    let library = library.to_str().unwrap();
    let pack = ["plugins", "pack", library, "--manifest", "acme.dogpile.toml", "--out", "out"];
    announce("acme.shelf");
    place.run(&pack).good();
    let (_, listed) = place.json(&["plugins", "list", "--folder", "out"]);
    let shelf = entry(&listed, "acme.shelf");
    assert_eq!((&shelf["package"], &shelf["version"]), (&"acme".into(), &"7.1.0".into()));
    announce("acme.shlef");
    let (code, refused) = place.json(&pack);
    assert_eq!(code, 1);
    let told = "lists the backend \"acme.shlef\", which the library does not provide";
    assert!(refused["error"].as_str().unwrap().contains(told), "{refused}");
}

#[test]
fn pack_under_another_name_replaces_the_earlier_one() {
    let place = Place::new();
    place.run(&[&pack("out")[..], &named(&place, "old", "1.0.0")].concat()).good();
    assert_eq!(files(&place, "out"), ["libacme_dogpile_dylib.so", "old.dogpile.toml"]);
    let shown = place.run(&pack("out")).good();
    assert!(shown.contains("removed out/old.dogpile.toml, of an earlier version"), "{shown}");
    assert_eq!(files(&place, "out"), ["acme-dogpile-dylib.dogpile.toml", "libacme_dogpile_dylib.so"]);
    assert_eq!(place.run(&["plugins", "list", "--folder", "out"]).code, 0);
}

#[test]
fn pack_of_a_renamed_library_removes_the_earlier_one() {
    let place = packed();
    fs::copy(library(ACME), place.path("librenamed.so")).unwrap();
    let (code, told) = place.json(&["plugins", "pack", "librenamed.so", "--out", "plugins"]);
    assert_eq!((code, &told["removed"]), (0, &json!(["plugins/libacme_dogpile_dylib.so"])));
    assert_eq!(files(&place, "plugins"), ["acme-dogpile-dylib.dogpile.toml", "librenamed.so"]);
    assert_eq!(problems(&place), [""; 0]);
}

#[test]
fn pack_beside_a_plugin_with_the_same_name_is_refused() {
    let place = packed();
    let before = fs::read(manifest(&place)).unwrap();
    fs::copy(library(ACME), place.path("librenamed.so")).unwrap();
    let other = named(&place, "other", "1.0.0").map(|argument| argument.to_owned());
    let pack = ["plugins", "pack", "librenamed.so", "--out", "plugins"].map(str::to_owned);
    let answer = place.run(&[&pack[..], &other].concat());
    assert_eq!(answer.code, 1);
    let error = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected =
        "error: plugins/acme-dogpile-dylib.dogpile.toml of plugin acme-dogpile-dylib 0.1.0 provides";
    assert!(error.starts_with(expected) && error.contains("remove that plugin"), "{error}");
    assert_eq!(files(&place, "plugins"), ["acme-dogpile-dylib.dogpile.toml", "libacme_dogpile_dylib.so"]);
    assert_eq!(fs::read(manifest(&place)).unwrap(), before);
}

#[test]
fn pack_replaces_symbolic_links_and_does_not_follow_them() {
    let place = Place::new();
    let precious = place.write("precious", "precious");
    fs::create_dir(place.path("plugins")).unwrap();
    for link in [in_folder(&place), manifest(&place), place.path("acme.tar.gz")] {
        symlink(&precious, &link).unwrap();
        symlink(&precious, link.with_extension("new")).unwrap();
    }
    place.run(&pack("plugins")).good();
    place.run(&pack("acme.tar.gz")).good();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    for file in [in_folder(&place), manifest(&place), place.path("acme.tar.gz")] {
        assert!(fs::symlink_metadata(&file).unwrap().is_file(), "{}", file.display());
    }
}

#[test]
fn reserved_names_are_packed_on_request_only() {
    let place = Place::new();
    let library = library("dogpile-redis-dylib");
    let pack = ["plugins", "pack", library.to_str().unwrap(), "--out", "plugins"];
    let (code, refused) = place.json(&pack);
    let error = refused["error"].as_str().unwrap();
    assert!(
        code == 1 && error.contains("reserved for dogpile's own plugins") && error.contains("--reserved"),
        "{error}"
    );
    assert!(!place.path("plugins").exists());
    place.run(&[&pack[..], &["--reserved"]].concat()).good();
    assert!(place.path("plugins/dogpile-redis-dylib.dogpile.toml").is_file());
}

/// The temporary folder is known to the test, and no output may contain its path.
#[test]
fn temporary_paths_are_in_no_output_and_nothing_is_left() {
    let place = Place::new();
    let temporary = place.path("scratch");
    fs::create_dir(&temporary).unwrap();
    place.write("text.so", "no library");
    let run = |arguments: &[String]| {
        let output = place.command(arguments).env("TMPDIR", &temporary).output().unwrap();
        assert_eq!(files(&place, "scratch"), [""; 0], "{arguments:?}");
        Answer::of(&output)
    };
    let mut outputs = Vec::new();
    for out in ["plugins", "acme.tar.gz"] {
        outputs.push(
            run(&[&pack(out)[..], &["--json".to_owned(), "--keep-symbols".to_owned()]].concat()).good(),
        );
    }
    for more in [&[][..], &["--keep-symbols"]] {
        let text = ["plugins", "pack", "text.so", "--out", "plugins"];
        let refused = run(&[&text[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert!(refused.code == 1 && refused.err.contains("\"text.so\" cannot be used"), "{}", refused.err);
        outputs.push(refused.err);
    }
    let damaged = ["plugins", "verify", "damaged.tar.gz"].map(str::to_owned);
    fs::create_dir(place.path("damaged")).unwrap();
    fs::copy(place.path("text.so"), place.path("damaged/libacme_dogpile_dylib.so")).unwrap();
    fs::copy(manifest(&place), place.path("damaged/acme.dogpile.toml")).unwrap();
    tar(&place, &["czf", "damaged.tar.gz", "damaged"]);
    let refused = run(&damaged);
    assert!(refused.code == 1 && refused.err.contains("the SHA-256 is"), "{}", refused.err);
    outputs.push(refused.err);
    outputs.push(fs::read_to_string(manifest(&place)).unwrap());
    let bytes = fs::read(in_folder(&place)).unwrap();
    let path = temporary.to_str().unwrap();
    assert!(!bytes.windows(path.len()).any(|part| part == path.as_bytes()));
    for output in outputs {
        let output = output.replace(char::is_whitespace, "");
        assert!(!output.contains("scratch"), "{output}");
    }
}

fn tar(place: &Place, arguments: &[&str]) {
    let status = Command::new("tar").args(arguments).current_dir(place.path("")).status();
    assert!(status.unwrap().success());
}

#[test]
fn archive_is_verified_and_inspected_as_it_is() {
    let place = Place::new();
    place.run(&pack("acme.tar.gz")).good();
    let verify = ["plugins", "verify", "acme.tar.gz", "--only", "acme.shelf"];
    let (code, report) = place.json(&verify);
    assert_eq!((code, &report["setups"][0]["failed"]), (0, &json!(0)), "{report:#}");
    assert_eq!(report["library"], "acme.tar.gz/libacme_dogpile_dylib.so");
    let (code, told) = place.json(&["plugins", "inspect", "acme.tar.gz"]);
    assert_eq!((code, &told["pinned"]), (0, &json!(true)), "{told:#}");
    assert_eq!(told["manifest"], "acme.tar.gz/acme-dogpile-dylib.dogpile.toml");
    fits_a_terminal(&place.run(&["plugins", "inspect", "acme.tar.gz"]).good());
}

#[test]
fn archive_with_other_contents_is_refused() {
    let place = packed();
    fs::rename(place.path("plugins"), place.path("acme")).unwrap();
    tar(&place, &["czf", "whole.tar.gz", "acme"]);
    place.run(&["plugins", "inspect", "whole.tar.gz"]).good();
    let refused = |name: &str, expected: &str| {
        let answer = place.run(&["plugins", "verify", name]);
        let error = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(answer.code == 1 && error.contains(expected), "{name}: {error}");
        assert!(error.starts_with(&format!("error: archive {name} cannot be used: ")), "{error}");
    };
    tar(&place, &["czf", "outside.tar.gz", "-C", "acme", "--transform", "s,^,../,", "-P", "."]);
    refused("outside.tar.gz", "not directly below one folder");
    symlink("/etc/passwd", place.path("acme/link")).unwrap();
    tar(&place, &["czf", "link.tar.gz", "acme/link"]);
    refused("link.tar.gz", "\"acme/link\", which is not a regular file but Symlink");
    fs::remove_file(place.path("acme/link")).unwrap();
    fs::remove_file(place.path("acme/libacme_dogpile_dylib.so")).unwrap();
    tar(&place, &["czf", "alone.tar.gz", "acme"]);
    refused("alone.tar.gz", "it does not consist of one library and one manifest");
    place.write("text.tar.gz", "no archive");
    refused("text.tar.gz", "it cannot be read");
}

#[test]
fn pack_into_something_unsuitable_is_refused() {
    let place = Place::new();
    place.write("file", "precious");
    for (out, expected) in [
        ("acme.zip", "expected a name that ends in .tar.gz, or a folder"),
        ("file", "file is not a folder; name a folder, or an archive that ends in .tar.gz"),
        ("file/plugins", "cannot be made"),
        ("nowhere/acme.tar.gz", "cannot be written"),
    ] {
        let (code, refused) = place.json(&pack(out).each_ref().map(String::as_str));
        assert!(code == 1 && refused["error"].as_str().unwrap().contains(expected), "{out}: {refused}");
    }
    let (code, refused) = place.json(&["plugins", "pack", ".", "--out", "plugins"]);
    let expected = ". is not a file; name the library that cargo built";
    assert_eq!((code, &refused["error"]), (1, &expected.into()));
    for (name, version) in [("../up", "1.0.0"), ("up", "../1"), ("up", "")] {
        let answer = place.run(&[&pack("plugins")[..], &named(&place, name, version)].concat());
        assert!(answer.code == 1 && answer.err.contains("cannot be part of a file name"), "{}", answer.err);
    }
    assert_eq!(files(&place, ""), ["file", "named.toml"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "precious");
}

#[test]
fn pack_into_a_folder_that_hosts_refuse_is_a_warning() {
    let place = Place::new();
    fs::create_dir(place.path("plugins")).unwrap();
    fs::set_permissions(place.path("plugins"), fs::Permissions::from_mode(0o775)).unwrap();
    let shown = place.run(&pack("plugins")).good();
    assert!(
        shown.contains("warning: a host refuses this folder: ") && shown.contains("chmod go-w"),
        "{shown}"
    );
}
