//! Folders and devices instead of files, endless files, and odd names. No subcommand hangs or panics, and each names what is wrong.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::{Answer, Place};

const REGIONS: &str = "[regions.a]\nbackend = 'dogpile.cache.memory'\nexpiration_time = 5\n";

fn place() -> Place {
    let place = Place::new();
    place.write("regions.toml", REGIONS);
    place.write("app.ini", "[a]\ncache.backend = dogpile.cache.memory\ncache.expiration_time = 5\n");
    std::fs::create_dir(place.path("folder")).unwrap();
    for name in ["fifo", "fifo.tar.gz"] {
        assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
    }
    place
}

/// Returns the error of the command, in one line.
fn refusal(place: &Place, arguments: &[&str]) -> String {
    let answer = place.run(arguments);
    assert_eq!((answer.code, &*answer.out), (1, ""), "{arguments:?}: {}", answer.err);
    assert!(!answer.err.contains("panicked"), "{arguments:?}: {}", answer.err);
    answer.err.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn configuration_that_is_not_a_file_is_refused() {
    let place = place();
    for (file, problem) in [
        ("folder", "Is a directory"),
        ("/dev/zero", "larger than 16 MiB; name a configuration"),
        ("absent.toml", "does not exist; name another file with --config"),
    ] {
        for arguments in [
            &["check", file][..],
            &["check", file, "--explain", "a"],
            &["check", file, "--prefix", "cache."],
            &["get", "a", "key", "--config", file],
            &["set", "a", "key", "1", "--config", file],
            &["delete", "a", "key", "--config", file],
            &["inspect", "a", "key", "--config", file],
            &["bench", "a", "--config", file],
            &["stampede", "a", "--config", file],
            &["top", "--once", "--config", file],
        ] {
            let error = refusal(&place, arguments);
            assert!(error.contains(problem), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn plugin_that_is_not_a_file_is_refused() {
    let place = place();
    for file in ["folder", "fifo", "/dev/zero"] {
        for arguments in [
            &["plugins", "inspect", file][..],
            &["plugins", "verify", file],
            &["plugins", "pack", file, "--out", "packed"],
        ] {
            let error = refusal(&place, arguments);
            assert!(error.contains("not a file"), "{arguments:?}: {error}");
        }
    }
    for subcommand in ["inspect", "verify"] {
        let error = refusal(&place, &["plugins", subcommand, "fifo.tar.gz"]);
        assert_eq!(error, "error: \"fifo.tar.gz\" cannot be read: it is not a file; name a file");
    }
}

#[test]
fn output_that_cannot_be_written_is_refused_at_once() {
    let place = place();
    for subcommand in ["bench", "stampede"] {
        let error = refusal(&place, &[subcommand, "a", "--svg", "fifo"]);
        assert!(error.ends_with("it is a pipe that no process reads; name a file"), "{error}");
        let error = refusal(&place, &[subcommand, "a", "--svg", "folder"]);
        assert!(error.contains("\"folder\" cannot be written Is a directory"), "{error}");
    }
    // Root could replace the device.
    for file in ["/dev/null", "folder", "fifo"] {
        let error = refusal(&place, &["check", "app.ini", "--write", file, "--force"]);
        assert!(error.ends_with("cannot be written: it is not a file; name a file"), "{error}");
    }
}

/// A value of an ini file may contain others, which contain others in turn.
#[test]
fn ini_file_that_grows_without_a_limit_is_refused() {
    let place = place();
    let mut text = "[a]\ncache.backend = %(v9)s\nv0 = x\n".to_owned();
    for number in 1..10 {
        let value = format!("%(v{})s", number - 1).repeat(100);
        text.push_str(&format!("v{number} = {value}\n"));
    }
    place.write("app.ini", &text);
    let (code, checked) = place.json(&["check", "app.ini"]);
    let problems = checked["problems"].to_string();
    assert!(code == 1 && problems.contains("have more than 64 MiB; write them without others"), "{problems}");
}

#[test]
fn name_that_is_not_text_is_shown_escaped() {
    let place = place();
    let name = OsStr::from_bytes(b"a\xff\x1b[2J\".so");
    std::fs::write(place.path("").join(name), "no library").unwrap();
    let run = |arguments: &[&str], more: &[&str]| {
        let arguments = arguments.iter().map(OsString::from).chain([name.to_owned()]);
        let arguments: Vec<_> = arguments.chain(more.iter().map(OsString::from)).collect();
        Answer::of(&place.command(&arguments).output().unwrap())
    };
    for (arguments, more) in [
        (&["plugins", "inspect"][..], &[][..]),
        (&["plugins", "pack"], &["--out", "packed"]),
        (&["plugins", "pack"], &["--keep-symbols", "--out", "packed"]),
        (&["check"], &[]),
        (&["top", "--once", "--connect"], &[]),
    ] {
        let answer = run(arguments, more);
        let shown = format!("{}{}", answer.out, answer.err);
        assert_eq!(answer.code, 1, "{arguments:?}: {shown}");
        assert!(!shown.contains('\u{1b}') && shown.contains("[2J"), "{arguments:?}: {shown}");
        assert!(!shown.contains("dogpile-"), "the name of a temporary folder: {shown}");
    }
}
