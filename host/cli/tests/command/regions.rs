//! `dogpile get`, `set`, `delete`, and `inspect`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use dogpile::{CacheRegion, Configuration, RegionConfig};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::servers::ClosedPort;
use dogpile_tests::threads::Signal;
use serde_json::{Value, json};

use crate::load::shared;
use crate::{Place, fits_a_terminal};

/// A folder with a region over a file, which outlasts the process.
fn kept() -> Place {
    let place = Place::new();
    place.write(
        "regions.toml",
        "[regions.a]\nbackend = 'dogpile.cache.dbm'\nkey_mangler = 'sha1'\narguments = { filename = 'kept' }\n",
    );
    place
}

#[test]
fn missing_key_is_reported_and_fails() {
    let place = kept();
    let (code, found) = place.json(&["get", "a", "k"]);
    assert_eq!((code, &found["found"], &found["value"]), (1, &json!(false), &Value::Null));
    let answer = place.run(&["get", "a", "k"]);
    assert!(answer.out.is_empty(), "a script would take it for the value: {}", answer.out);
    assert!(answer.err.starts_with("no value: nothing is stored under this key"), "{}", answer.err);
}

#[test]
fn value_is_read_and_deleted_by_other_processes() {
    let place = kept();
    place.run(&["set", "a", "k", r#"{"title": "tea"}"#]).good();
    assert_eq!(place.json(&["get", "a", "k"]).1["value"], json!({ "title": "tea" }));
    let (code, stored) = place.json(&["inspect", "a", "k"]);
    assert_eq!((code, &stored["value"]["preview"]), (0, &json!(r#"{"title":"tea"}"#)));
    fits_a_terminal(&place.run(&["inspect", "a", "k"]).good());
    place.run(&["delete", "a", "k"]).good();
    assert_eq!(place.json(&["get", "a", "k"]).0, 1);
}

#[test]
fn value_is_a_string_if_not_json_or_on_request() {
    let place = kept();
    for (arguments, stored) in [
        (&["set", "a", "k", "17"][..], json!(17)),
        (&["set", "a", "k", "17", "--text"], json!("17")),
        (&["set", "a", "k", "tea time"], json!("tea time")),
    ] {
        place.run(arguments).good();
        assert_eq!(place.json(&["get", "a", "k"]).1["value"], stored);
    }
    assert_eq!(place.run(&["get", "a", "k"]).good(), "tea time\n", "a string is written as it is");
}

#[test]
fn value_may_come_from_standard_input() {
    let place = kept();
    let mut set =
        place.command(&["set", "a", "k", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    set.stdin.take().unwrap().write_all(b"[1, 2]").unwrap();
    assert!(set.wait().unwrap().success());
    assert_eq!(place.json(&["get", "a", "k"]).1["value"], json!([1, 2]));
}

#[test]
fn inspect_shows_mangled_key_serializer_and_lock() {
    let (code, told) = kept().json(&["inspect", "a", "some_key"]);
    assert_eq!(code, 1, "there is no value: {told}");
    assert_eq!(told["mangled_key"], "53def077a4264bd3183d4eb21b1f56f883e1b572");
    assert_eq!(
        (&told["serializer"], &told["locked"], &told["value"]),
        (&"json".into(), &json!(false), &Value::Null)
    );
}

dogpile_tests::needs_redis! {
    #[test]
    fn key_created_by_another_process_is_shown_as_locked() {
        let (place, _server) = shared();
        let region = CacheRegion::with_defaults("a", RegionConfig::default());
        Configuration::from_file(place.path("regions.toml")).unwrap().configure(&region).unwrap();
        let ((begun, has_begun), end) = (channel(), Signal::default());
        let finish = end.clone();
        let creator = thread::spawn(move || {
            region.get_or_create("k", || {
                begun.send(()).unwrap();
                finish.wait();
                "made".to_owned()
            })
        });
        has_begun.recv_timeout(dogpile_tests::threads::LIMIT).unwrap();
        let (_, meanwhile) = place.json(&["inspect", "a", "k"]);
        end.give();
        assert_eq!(creator.join().unwrap().unwrap(), "made");
        let (_, afterwards) = place.json(&["inspect", "a", "k"]);
        assert_eq!((&meanwhile["locked"], &meanwhile["value"]), (&json!(true), &Value::Null));
        assert_eq!((&afterwards["locked"], &afterwards["value"]["preview"]), (&json!(false), &json!("\"made\"")));
    }
}

#[test]
fn colors_are_for_terminals_and_respect_no_color() {
    let place = kept();
    let on_a_terminal = |no_color: &str| place.on_a_terminal("check", no_color);
    assert!(on_a_terminal("").contains("\u{1b}[32mok"), "{}", on_a_terminal(""));
    assert!(!on_a_terminal("1").contains('\u{1b}'), "{}", on_a_terminal("1"));
    assert!(!place.run(&["check"]).good().contains('\u{1b}'));
}

#[test]
fn unknown_region_is_refused_with_a_suggestion() {
    let place = kept();
    let answer = place.run(&["delete", "b", "k"]);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    assert!(
        answer.err.starts_with("error: regions.toml configures no region \"b\" (configured: a)"),
        "{}",
        answer.err
    );
    let (code, told) = place.json(&["delete", "b", "k"]);
    assert_eq!((code, told["error"].as_str().unwrap().contains("no region")), (1, true));
}

#[test]
fn configuration_may_be_in_another_place() {
    let place = kept();
    std::fs::create_dir(place.path("etc")).unwrap();
    std::fs::rename(place.path("regions.toml"), place.path("etc/other.toml")).unwrap();
    assert!(place.run(&["set", "a", "k", "1"]).err.contains("regions.toml"));
    let config = Path::new("etc/other.toml");
    let by_option = ["set", "a", "k", "1", "--config", config.to_str().unwrap()];
    assert_eq!(place.run(&by_option).good(), "stored \"k\" of region \"a\"\n");
    let answer = place.command(&["set", "a", "k", "1"]).env("DOGPILE_CONFIG", config).output().unwrap();
    assert!(answer.status.success());
}

#[test]
fn completions_and_manual_page_name_every_subcommand() {
    let place = Place::new();
    let man = place.run(&["man"]).good();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let completions = place.run(&["completions", shell]).good();
        for subcommand in ["check", "inspect", "plugins", "verify", "stampede"] {
            assert!(completions.contains(subcommand), "{shell} lacks {subcommand}");
        }
        assert!(!completions.contains("stampede-process"), "{shell} shows what is hidden");
    }
    assert!(man.starts_with(".ie") && man.contains(".SH \"DOGPILE PLUGINS INSPECT\""), "{man}");
    assert!(
        !man.contains("stampede-process") && !man.contains("stampede\\-process"),
        "the hidden one is shown"
    );
}

#[test]
fn help_is_readable_at_eighty_columns() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["plugins", "--help"],
        &["bench", "--help"],
        &["stampede", "--help"],
        &["get", "--help"],
    ] {
        fits_a_terminal(&place.run(arguments).good());
    }
}

/// A terminal would act on them: they could set its title or hide what follows.
#[test]
fn control_characters_are_escaped() {
    let place = kept();
    let attack = "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m";
    place.run(&["set", "a", "k", attack, "--text"]).good();
    place.run(&["set", "a", "list", &json!([attack]).to_string()]).good();
    for arguments in [
        &["get", "a", "list"][..],
        &["inspect", "a", "k"],
        &["inspect", "a", attack],
        &["delete", "a", attack],
    ] {
        let answer = place.run(arguments);
        assert!(!answer.out.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{arguments:?}: {}", answer.out);
        let (_, told) = place.json(arguments);
        assert!(!told.is_null());
    }
    let json = place.run(&["--json", "get", "a", "k"]).good();
    assert!(!json.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{json}");
    let shown = place.on_a_terminal("get a k", "");
    assert!(shown.contains("\\u{1b}]0;pwned\\u{7}"), "{shown}");
    assert_eq!(
        place.run(&["get", "a", "k"]).good(),
        format!("{attack}\n"),
        "a program gets the value as it is"
    );
}

#[test]
fn value_of_an_in_process_backend_is_not_stored() {
    let place = Place::new();
    place.write("regions.toml", "[regions.a]\nbackend = 'dogpile.cache.memory'\n");
    let answer = place.run(&["set", "a", "k", "1"]);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    assert!(
        answer.err.starts_with("error: \"k\" is not stored: the backend of region \"a\" keeps values"),
        "{}",
        answer.err
    );
}

#[test]
fn missing_value_is_explained() {
    let place = kept();
    let reason = |place: &Place| {
        let (code, found) = place.json(&["get", "a", "k"]);
        assert_eq!((code, &found["found"]), (1, &json!(false)));
        found["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&place), "nothing is stored under this key");
    let region = "[regions.a]\nbackend = 'dogpile.cache.dbm'\nkey_mangler = 'sha1'\narguments = { filename = 'kept' }\n";
    place.run(&["set", "a", "k", "[1]"]).good();
    place.write("regions.toml", &region.replace("arguments", "expiration_time = '1us'\narguments"));
    assert!(reason(&place).starts_with("the value is too old: it was created "), "{}", reason(&place));
    place.write("regions.toml", &region.replace("arguments", "serializer = 'pickle'\narguments"));
    assert!(
        reason(&place).contains("the value seems to be json, but the region reads pickle"),
        "{}",
        reason(&place)
    );
}

#[test]
fn help_says_which_commands_run_the_code_of_libraries() {
    let place = Place::new();
    for command in ["list", "inspect", "doctor", "pack", "verify"] {
        let help = place.run(&["plugins", command, "--help"]).good();
        fits_a_terminal(&help);
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("in this process. Use trusted libraries only."), "{command}: {help}");
        let help = place.run(&["plugins", command, "-h"]).good();
        fits_a_terminal(&help);
        assert!(help.contains("runs its code in this process."), "{command}: {help}");
    }
    for command in ["check", "get", "set", "delete", "inspect", "bench", "stampede"] {
        for option in ["-h", "--help"] {
            let help = place.run(&[command, option]).good();
            fits_a_terminal(&help);
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(help.contains("runs in this process."), "{command} {option}: {help}");
        }
    }
}

/// A script relies on the exit code.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = kept();
    place.run(&["set", "a", "k", "text"]).good();
    for arguments in [&["get", "a", "k"][..], &["--json", "check"], &["plugins", "list"], &["man"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(arguments).stdout(full).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("error: the output cannot be written"), "{arguments:?}: {error}");
    }
}

#[test]
fn pipe_that_is_closed_early_is_not_an_error() {
    let place = kept();
    for arguments in [&["man"][..], &["plugins", "list"], &["--json", "check"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(arguments).stdout(writer).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn negative_number_is_a_value() {
    let place = kept();
    place.run(&["set", "a", "k", "-5"]).good();
    assert_eq!(place.json(&["get", "a", "k"]).1["value"], json!(-5));
}

#[test]
fn configuration_without_regions_is_named_as_such() {
    let place = Place::new();
    place.write("regions.toml", "");
    let (code, refused) = place.json(&["get", "a", "k"]);
    assert_eq!(
        (code, &refused["error"]),
        (1, &json!("regions.toml configures no region \"a\" (configured: none)"))
    );
    std::fs::create_dir(place.path("folder")).unwrap();
    for arguments in [&["check", "folder"][..], &["get", "a", "k", "--config", "folder"]] {
        let (code, refused) = place.json(arguments);
        let expected = json!("the configuration \"folder\" cannot be read");
        assert_eq!((code, &refused["error"]), (1, &expected), "{arguments:?}");
    }
}

/// A client of memcached treats a server that is down as empty.
#[test]
fn value_that_no_server_got_is_not_reported_as_stored() {
    let place = Place::new();
    let closed = ClosedPort::new();
    let port = closed.port();
    place.write(
        "regions.toml",
        &format!(
            "[regions.a]\nbackend = 'dogpile.cache.pylibmc'\narguments = {{ url = '127.0.0.1:{port}' }}\n"
        ),
    );
    let down = format!("cannot reach memcached server 127.0.0.1:{port}: ");
    let (code, told) = place.json(&["set", "a", "k", "1"]);
    let error = told["error"].as_str().unwrap();
    assert_eq!(code, 1);
    assert!(error.starts_with(&format!("\"k\" of region \"a\" is not stored: {down}")), "{error}");
    let (code, found) = place.json(&["get", "a", "k"]);
    assert_eq!(code, 1);
    assert!(found["reason"].as_str().unwrap().starts_with(&down), "{found}");
}

dogpile_tests::needs_memcached! {
    #[test]
    fn value_that_the_backend_skips_is_not_reported_as_stored() {
        let server = MemcachedServer::start(&[]).unwrap();
        let place = Place::new();
        let regions = format!(
            "[regions.a]\nbackend = 'dogpile.cache.pylibmc'\n\
             arguments = {{ url = '{}', item_size_max = 2048, skip_oversized = true }}\n",
            server.url()
        );
        place.write("regions.toml", &regions);
        place.run(&["set", "a", "k", "small"]).good();
        let (code, told) = place.json(&["set", "a", "k", &"x".repeat(5000)]);
        let expected =
            "\"k\" of region \"a\" is not stored: the backend or a proxy did not keep it; see `dogpile check`";
        assert_eq!((code, told["error"].as_str().unwrap()), (1, expected));
    }
}
