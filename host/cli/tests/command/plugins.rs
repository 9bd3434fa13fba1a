//! `dogpile plugins`: list, inspect, doctor, and verify.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dogpile_conformance::Level;
use dogpile_tests::libraries::{Variant, library};
use dogpile_tests::redis::RedisServer;
use serde_json::{Value, json};

use crate::{Place, fits_a_terminal};

/// A folder into whose subfolder `plugins` the plugin acme was packed.
pub(crate) fn packed() -> Place {
    let place = Place::new();
    let library = library("acme-dogpile-dylib");
    place
        .run(&[Path::new("plugins"), Path::new("pack"), &library, Path::new("--out"), Path::new("plugins")])
        .good();
    place
}

pub(crate) fn in_folder(place: &Place) -> PathBuf {
    place.path("plugins/libacme_dogpile_dylib.so")
}

pub(crate) fn manifest(place: &Place) -> PathBuf {
    place.path("plugins/acme-dogpile-dylib.dogpile.toml")
}

pub(crate) fn entry<'a>(listed: &'a Value, name: &str) -> &'a Value {
    let entries = listed["entry_points"].as_array().unwrap();
    entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{listed:#}"))
}

#[test]
fn linked_and_packed_plugins_are_listed_with_versions() {
    let place = packed();
    let (code, listed) = place.json(&["plugins", "list", "--folder", "plugins"]);
    assert_eq!((code, &listed["problems"]), (0, &json!([])));
    let memory = entry(&listed, "dogpile.cache.memory");
    assert_eq!(
        (&memory["origin"], &memory["state"], &memory["library"]),
        (&"linked".into(), &"ok".into(), &Value::Null)
    );
    let counter = entry(&listed, "acme.hit_counter");
    assert_eq!((&counter["kind"], &counter["state"]), (&"proxy".into(), &"ok".into()));
    assert_eq!((&counter["package"], &counter["origin"]), (&"acme-dogpile-dylib".into(), &"library".into()));
    assert_eq!(counter["abi_version"], "1.0.0");
    assert!(counter["sdk_version"].is_string() && counter["version"].is_string());
    assert!(counter["manifest"].as_str().unwrap().ends_with("acme-dogpile-dylib.dogpile.toml"));
    fits_a_terminal(&place.run(&["plugins", "list", "--folder", "plugins"]).good());
}

#[test]
fn configuration_and_environment_name_folders_too() {
    let place = packed();
    place.write("regions.toml", "[plugins]\npath = ['plugins']\n");
    let (_, listed) = place.json(&["plugins", "list", "--config", "regions.toml"]);
    entry(&listed, "acme.shelf");
    let mut command = place.command(&["plugins", "list"]);
    let output = command.env("DOGPILE_PLUGIN_PATH", place.path("plugins")).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("acme.shelf"));
}

#[test]
fn library_is_inspected_by_its_path_or_manifest() {
    let place = packed();
    for file in ["plugins/libacme_dogpile_dylib.so", "plugins/acme-dogpile-dylib.dogpile.toml"] {
        let (code, told) = place.json(&["plugins", "inspect", file]);
        assert_eq!(
            (code, &told["abi_version"], &told["pinned"]),
            (0, &"1.0.0".into(), &json!(true)),
            "{file}"
        );
        assert_eq!(told["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(told["entry_points"].as_array().unwrap().len(), 2);
    }
    place.write("text.so", "no library");
    let refused = place.run(&["plugins", "inspect", "text.so"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("not a library"), "{}", refused.err);
}

#[test]
fn region_over_a_packed_plugin_passes_the_check() {
    let place = packed();
    place.write(
        "regions.toml",
        "[plugins]\npath = ['plugins']\n[regions.a]\nbackend = 'acme.shelf'\nwrap = ['acme.hit_counter']\n",
    );
    place.run(&["check"]).good();
}

/// Makes the manifest state the SHA-256 `pin`, or none.
fn pin(place: &Place, pin: Option<&str>) {
    let mut said: toml::Table = fs::read_to_string(manifest(place)).unwrap().parse().unwrap();
    said.remove("sha256");
    said.extend(pin.map(|pin| ("sha256".to_owned(), pin.into())));
    fs::write(manifest(place), said.to_string()).unwrap();
}

/// Returns the findings of the doctor that have a problem.
pub(crate) fn problems(place: &Place) -> Vec<String> {
    let (code, told) = place.json(&["plugins", "doctor", "--folder", "plugins"]);
    let findings = told["findings"].as_array().unwrap();
    let problems: Vec<_> =
        findings.iter().filter_map(|it| it["problem"].as_str().map(str::to_owned)).collect();
    assert_eq!(code, i32::from(!problems.is_empty()), "{told:#}");
    problems
}

#[test]
fn doctor_finds_no_problem_in_a_good_folder() {
    let place = packed();
    assert_eq!(problems(&place), [""; 0]);
    let told = place.run(&["plugins", "doctor", "acme.shelf", "--folder", "plugins"]).good();
    assert!(told.contains("and can be used"), "{told}");
    fits_a_terminal(&told);
}

#[test]
fn doctor_reports_a_changed_hash() {
    let place = packed();
    pin(&place, Some(&"0".repeat(64)));
    let told = problems(&place);
    assert!(told.len() == 1 && told[0].contains("SHA-256"), "{told:?}");
    let list = ["plugins", "list", "--folder", "plugins"];
    let (code, listed) = place.json(&list);
    assert!(entry(&listed, "acme.shelf")["state"].as_str().unwrap().contains("SHA-256"), "{listed}");
    assert_eq!(code, 1, "a refused entry point is a failure");
    let shown = place.run(&list).out;
    assert!(shown.contains("refused") && shown.contains("SHA-256"), "{shown}");
}

#[test]
fn doctor_reports_files_writable_by_others() {
    let place = packed();
    fs::set_permissions(in_folder(&place), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(problems(&place)[0].contains("chmod go-w"));
    fs::set_permissions(in_folder(&place), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path("plugins"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(problems(&place)[0].contains("chmod go-w"));
}

#[test]
fn doctor_reports_a_library_for_another_processor() {
    let place = packed();
    let mut bytes = fs::read(in_folder(&place)).unwrap();
    // The machine type of an ELF file. 0xF3 is RISC-V.
    bytes[18..20].copy_from_slice(&[0xF3, 0]);
    fs::write(in_folder(&place), bytes).unwrap();
    pin(&place, None);
    let told = problems(&place);
    assert!(
        told.len() == 1 && told[0].contains("Riscv64") && told[0].contains("get the build for"),
        "{told:?}"
    );
}

#[test]
fn doctor_reports_another_interface_and_aborting_panics() {
    let place = packed();
    for (variant, told) in
        [(Variant::Mismatched, "binary interface differs"), (Variant::Abort, "panic = \"abort\"")]
    {
        let library = variant.library("dogpile-memory-dylib");
        fs::remove_dir_all(place.path("plugins")).unwrap();
        fs::create_dir(place.path("plugins")).unwrap();
        fs::copy(&library, place.path("plugins/memory.so")).unwrap();
        place.write(
            "plugins/memory.dogpile.toml",
            "name = 'm'\nversion = '1'\nlibrary = 'memory.so'\n[[entry_points]]\nname = 'm'\nkind = 'backend'\n",
        );
        let problems = problems(&place);
        assert!(problems.len() == 1 && problems[0].contains(told), "{problems:?}");
    }
}

#[test]
fn doctor_reports_a_foreign_library_and_a_missing_manifest() {
    let place = packed();
    let is_libc = |path: &PathBuf| path.is_file();
    let libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];
    let libc = libc.map(PathBuf::from).into_iter().find(is_libc).expect("a Linux system has a libc");
    fs::copy(libc, place.path("plugins/libc.so")).unwrap();
    let alone = problems(&place);
    assert!(alone.len() == 1 && alone[0].starts_with("no manifest names it"), "{alone:?}");
    place.write(
        "plugins/libc.dogpile.toml",
        "name = 'libc'\nversion = '1'\nlibrary = 'libc.so'\n[[entry_points]]\nname = 'c'\nkind = 'backend'\n",
    );
    let told = problems(&place);
    assert!(told.len() == 1 && told[0].contains("does not export"), "{told:?}");
    let (_, doctor) = place.json(&["plugins", "doctor", "c", "--folder", "plugins"]);
    assert!(
        doctor["missed"]["result"].as_str().unwrap().contains("which is refused: not a dogpile plugin"),
        "{doctor}"
    );
}

#[test]
fn doctor_reports_missing_files_and_a_broken_manifest() {
    let place = packed();
    fs::remove_file(in_folder(&place)).unwrap();
    place.write("plugins/broken.dogpile.toml", "nam = 1\n");
    let told = problems(&place);
    assert!(
        told.iter().any(|it| it.contains("No such file"))
            && told.iter().any(|it| it.contains("unknown field `nam`")),
        "{told:?}"
    );
    let (code, told) = place.json(&["plugins", "doctor", "--folder", "nowhere"]);
    assert!(code == 1 && told["findings"].to_string().contains("nowhere"), "{told}");
}

#[test]
fn list_fails_with_the_reason_if_something_was_skipped() {
    let place = packed();
    let list = ["plugins", "list", "--folder", "plugins"];
    place.write("plugins/broken.dogpile.toml", "nam = 1\n");
    let (code, listed) = place.json(&list);
    assert_eq!((code, &entry(&listed, "acme.shelf")["state"]), (1, &"ok".into()));
    assert!(listed["problems"].to_string().contains("unknown field `nam`"), "{listed}");
    fs::remove_file(place.path("plugins/broken.dogpile.toml")).unwrap();

    let text = fs::read_to_string(manifest(&place)).unwrap();
    place.write("plugins/other.dogpile.toml", &text.replace("acme-dogpile-dylib", "other"));
    let (code, listed) = place.json(&list);
    let state = entry(&listed, "acme.shelf")["state"].as_str().unwrap();
    assert!(
        state.starts_with("provided twice: also by plugin ") && state.ends_with("; remove one"),
        "{state}"
    );
    assert_eq!(code, 1);
    let (code, listed) = place.json(&["plugins", "list", "--folder", "nowhere"]);
    assert!(code == 1 && listed["problems"].to_string().contains("nowhere"), "{listed}");
}

/// The command links a backend of the same name. The library is not at fault.
#[test]
fn library_with_a_linked_name_is_listed_as_not_used() {
    let place = Place::new();
    let library = library("dogpile-redis-dylib");
    let pack = ["plugins", "pack", library.to_str().unwrap(), "--out", "plugins", "--reserved"];
    place.run(&pack).good();
    let list = ["plugins", "list", "--folder", "plugins"];
    let (code, listed) = place.json(&list);
    let entries = listed["entry_points"].as_array().unwrap().iter();
    let rows: Vec<_> = entries.filter(|entry| entry["name"] == "dogpile.cache.redis").collect();
    let told: Vec<_> = rows.iter().map(|row| (&row["origin"], &row["state"], &row["replaced_by"])).collect();
    let (ok, other) = (json!("ok"), json!("the linked dogpile.cache.redis"));
    assert_eq!(told, [(&json!("linked"), &ok, &Value::Null), (&json!("library"), &ok, &other)], "{listed:#}");
    assert_eq!((code, &listed["problems"]), (0, &json!([])));
    let shown = place.run(&list).good();
    assert!(shown.contains("    the linked dogpile.cache.redis is used instead\n"), "{shown}");
    fits_a_terminal(&shown);
    let told = place.run(&["plugins", "doctor", "--folder", "plugins"]).good();
    assert!(told.contains("comes first"), "{told}");

    let library = place.path("plugins").join(library.file_name().unwrap());
    fs::set_permissions(&library, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, listed) = place.json(&list);
    let refused = |row: &&Value| row["state"].as_str().is_some_and(|state| state.contains("chmod go-w"));
    assert!(
        code == 1 && listed["entry_points"].as_array().unwrap().iter().any(|row| refused(&row)),
        "{listed:#}"
    );
}

#[test]
fn doctor_reports_that_no_folder_is_searched() {
    let told = Place::new().run(&["plugins", "doctor"]).good();
    assert!(told.contains("no folder is searched; name one with --folder"), "{told}");
    fits_a_terminal(&told);
}

#[test]
fn doctor_suggests_the_nearest_name() {
    let answer = packed().run(&["plugins", "doctor", "acme.shlef", "--folder", "plugins"]);
    assert_eq!(answer.code, 1);
    assert!(answer.out.contains("did you mean \"acme.shelf\"?"), "{}", answer.out);
}

#[test]
fn good_library_is_verified_case_by_case() {
    let place = packed();
    place.write("arguments.toml", "[\"acme.hit_counter\"]\nlabel = 'verified'\n");
    let verify = ["plugins", "verify", "plugins/libacme_dogpile_dylib.so", "--arguments", "arguments.toml"];
    let (code, report) = place.json(&verify);
    let setups = report["setups"].as_array().unwrap();
    assert_eq!((code, setups.len()), (0, 2), "{report:#}");
    for setup in setups {
        let count = |name: &str| setup[name].as_u64().unwrap();
        assert_eq!(count("failed"), 0);
        let levels = setup["levels"].as_array().unwrap();
        let cases = levels.iter().map(|level| level["cases"].as_array().unwrap().len() as u64);
        assert_eq!((levels.len(), count("passed") + count("skipped")), (15, cases.sum()));
        assert!(count("passed") > 30 && count("skipped") > 0, "the shelf has no mutex, which is reported");
        let level = |name: &str| levels.iter().find(|level| level["name"] == name).unwrap();
        if setup["kind"] == "proxy" {
            // The store around which a proxy is verified has every feature.
            let claimed = ["mutex", "expiry", "fencing", "capabilities", "bad_input", "proxy"];
            assert!(claimed.iter().all(|name| level(name)["verdict"] == "passed"), "{setup:#}");
            continue;
        }
        let mutex = level("mutex");
        assert_eq!(mutex["verdict"], "skipped");
        assert!(mutex["reason"].as_str().unwrap().contains("no mutex"), "{mutex}");
    }
    let table = place.run(&[&verify[..], &["--only", "acme.shelf"]].concat()).good();
    assert!(table.contains("conforms") && !table.contains("hit_counter"), "{table}");
    for level in [
        "store",
        "multi",
        "metadata",
        "mutex",
        "lease",
        "lease store",
        "expiry",
        "fencing",
        "capabilities",
        "bad input",
        "concurrency",
        "containment",
        "asynchronous",
        "frozen",
        "proxy",
    ] {
        assert!(table.contains(level), "{level}: {table}");
    }
    fits_a_terminal(&table);
}

#[test]
fn failing_library_is_reported_by_case_and_exit_code() {
    let place = Place::new();
    place.write("arguments.toml", "[\"fixture.panicking\"]\nat = 'set'\n");
    let library = library("fixture-misbehaving");
    let verify = [
        "plugins",
        "verify",
        library.to_str().unwrap(),
        "--arguments",
        "arguments.toml",
        "--only",
        "fixture.panicking",
    ];
    let (code, report) = place.json(&verify);
    let levels = report["setups"][0]["levels"].as_array().unwrap();
    let (store, verdict) = (&levels[0]["cases"], &levels[0]["verdict"]);
    assert_eq!(verdict, "failed");
    let case =
        store.as_array().unwrap().iter().find(|case| case["name"] == "stored_value_is_read_back").unwrap();
    assert_eq!((code, &case["outcome"]), (1, &"failed".into()));
    assert!(case["reason"].as_str().unwrap().contains("planted panic at set"), "{case}");
    assert!(place.run(&verify).out.contains("fails"));
}

/// Verifies the Redis backend, whose locks expire after three seconds, with the claim of a lease. Returns the exit code
/// and the level `lease`.
fn verified_lease(claimed: &str) -> (i32, Value) {
    let server = RedisServer::start(&[]).unwrap();
    let place = Place::new();
    let arguments = format!(
        "[\"dogpile.cache.redis\"]\nhost = '127.0.0.1'\nport = {}\ndistributed_lock = true\nlock_timeout = 3\n",
        server.port()
    );
    place.write("arguments.toml", &arguments);
    let library = library("dogpile-redis-dylib");
    let verify = ["plugins", "verify", library.to_str().unwrap(), "--arguments", "arguments.toml"];
    let more = ["--only", "dogpile.cache.redis", "--lease", claimed];
    let (code, report) = place.json(&[&verify[..], &more].concat());
    let levels = report["setups"][0]["levels"].as_array().unwrap();
    (code, levels.iter().find(|level| level["name"] == "lease").unwrap().clone())
}

dogpile_tests::needs_redis! {
    #[test]
    fn claimed_lease_is_verified_by_killing_a_holder() {
        let (code, lease) = verified_lease("3");
        assert_eq!((code, &lease["verdict"]), (0, &"passed".into()), "{lease:#}");
    }

    #[test]
    fn lease_that_is_shorter_than_claimed_fails() {
        let (code, lease) = verified_lease("45");
        let cases = lease["cases"].as_array().unwrap();
        let failed: Vec<_> = cases.iter().filter(|case| case["outcome"] == "failed").collect();
        assert_eq!((code, failed.len()), (1, 1), "{lease:#}");
        assert_eq!(failed[0]["name"], "stopped_holder_keeps_its_mutex_for_most_of_a_lease");
    }
}

#[test]
fn help_of_verify_lists_all_levels() {
    let help = Place::new().run(&["plugins", "verify", "--help"]).good();
    fits_a_terminal(&help);
    for level in Level::ALL {
        assert!(help.contains(&format!("  {level:<13} {}\n", level.requirement())), "{level}: {help}");
    }
}

#[test]
fn guide_has_a_row_for_each_level() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, section) = guide.split_once("\n## The tests\n").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: Vec<&str> = rows.filter(|name| Level::ALL.iter().any(|level| level.name() == *name)).collect();
    assert_eq!(rows, Level::ALL.map(Level::name));
}

#[test]
fn arguments_of_an_unknown_entry_point_are_refused() {
    let place = packed();
    place.write("arguments.toml", "[\"acme.shlef\"]\n");
    let answer = place.run(&[
        "plugins",
        "verify",
        "plugins/libacme_dogpile_dylib.so",
        "--arguments",
        "arguments.toml",
    ]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("did you mean \"acme.shelf\"?"), "{}", answer.err);
}

#[test]
fn broken_toml_is_reported_with_its_place() {
    let place = packed();
    place.write("arguments.toml", "a = 1\nx = [\n");
    let library = "plugins/libacme_dogpile_dylib.so";
    for rest in [
        &["verify", library, "--arguments", "arguments.toml"][..],
        &["pack", library, "--manifest", "arguments.toml", "--out", "out"],
    ] {
        let (code, refused) = place.json(&[&["plugins"], rest].concat());
        let error = refused["error"].as_str().unwrap();
        assert!(code == 1 && error.starts_with("arguments.toml, line 2, column "), "{error}");
        assert!(error.ends_with(": unclosed array, expected `]`"), "{error}");
    }
}
