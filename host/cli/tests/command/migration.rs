//! `dogpile check` of ini files, and `--write`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use dogpile::{CacheRegion, Configuration, RegionConfig};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::python;
use serde_json::{Value, json};

use crate::{Place, fits_a_terminal};

const DOGPILE: &str = "\
[app:main]
cache.backend = dogpile.cache.redis
cache.expiration_time = 600
cache.wrap = dogpile.proxy.logging, dogpile.proxy.readonly
cache.key_mangler = sha1
cache.fail_safe.max_age = 1d
cache.fail_safe.throttle = 2
cache.stale = serve_all
cache.mangle_invalid_keys = false
cache.breaker.failures = 7
cache.early_refresh = 0.8
cache.arguments.host = 127.0.0.1
cache.arguments.port = 1
cache.arguments.password = 0123
cache.arguments.distributed_lock = True
cache.arguments.redis_expiration_time = 86400
[server:main]
port = 6543
";

const OSLO: &str = "\
[cache]
enabled = true
backend = oslo_cache.memcache_pool
expiration_time = 600
memcache_servers = 127.0.0.1:1,127.0.0.1:2
memcache_socket_timeout = 0.5
memcache_pool_maxsize = 5
memcache_pool_unused_timeout = 60
backend_argument = distributed_lock:true
backend_argument = memcached_expire_time:86400
proxies = dogpile.proxy.readonly, dogpile.proxy.logging
debug_cache_backend = true
config_prefix = cache.oslo
key_mangler = sha1
";

/// Stores a value as Python does, with the region of an ini file.
const STORING: &str = "\
import configparser
from dogpile.cache import make_region
from dogpile.cache.util import sha1_mangle_key
ini = configparser.ConfigParser()
ini.read('app.ini')
region = make_region(key_mangler=sha1_mangle_key).configure_from_config(dict(ini['app:main']), 'cache.')
region.set('tea', {'price': [350, 'ä']})
";

/// Returns the warnings or problems, each as its line and its messages.
fn told(checked: &Value, sort: &str) -> Vec<(u64, String)> {
    let entry = |entry: &Value| {
        let messages = entry["problem"].as_array().unwrap().iter().map(|message| message.as_str().unwrap());
        (entry["line"].as_u64().unwrap(), messages.collect::<Vec<_>>().join(": "))
    };
    checked[sort].as_array().unwrap().iter().map(entry).collect()
}

/// Returns the region of `config`, with its backend, and what else its debug output shows.
fn described(config: &RegionConfig) -> (String, String, String) {
    let region = CacheRegion::new("cache");
    let shown = format!("{config:?}");
    region.configure(config.clone()).unwrap();
    (shown, format!("{:?}", region.backend().unwrap()), region.mangled_key("key").unwrap())
}

/// Writes the regions of an ini file as TOML, and checks that both mean the same.
fn round_trip(place: &Place, file: &str, entries: &[(&str, &str)], region: &str) {
    place.run(&["check", file, "--write", "regions.toml", "--force"]);
    let written = Configuration::from_file(place.path("regions.toml")).unwrap();
    let from_toml = described(&written.region_config(region).unwrap());
    let from_flat = described(&RegionConfig::from_flat(entries.iter().copied(), "").unwrap());
    let (toml, flat) = ((&from_toml.1, &from_toml.2), (&from_flat.1, &from_flat.2));
    assert_eq!(toml, flat, "{}", std::fs::read_to_string(place.path("regions.toml")).unwrap());
    // The debug output of a configuration has its settings, and the names of the arguments.
    let settings = |shown: &str| shown.split_once("arguments").map(|(before, _)| before.to_owned());
    assert_eq!(settings(&from_toml.0), settings(&from_flat.0));
}

fn entries<'t>(text: &'t str, prefix: &str) -> Vec<(&'t str, &'t str)> {
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    pairs.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value))).collect()
}

#[test]
fn names_of_dogpile_are_checked_and_written() {
    let place = Place::new();
    place.write("app.ini", DOGPILE);
    let (code, checked) = place.json(&["check", "app.ini", "--prefix", "cache.", "--write", "regions.toml"]);
    // No server listens there. Its region is still written.
    assert_eq!((code, told(&checked, "problems").len()), (1, 1), "{checked:#}");
    assert!(
        told(&checked, "problems")[0].1.starts_with("cannot reach Redis server 127.0.0.1:1"),
        "{checked:#}"
    );
    assert_eq!((&checked["problems"][0]["line"], &checked["written"]), (&2.into(), &"regions.toml".into()));
    let written = std::fs::read_to_string(place.path("regions.toml")).unwrap();
    for line in [
        "[regions.cache]",
        "expiration_time = 600",
        "wrap = [\"dogpile.proxy.logging\", \"dogpile.proxy.readonly\"]",
        "fail_safe.max_age = \"1d\"",
        "breaker.failures = 7",
        "[regions.cache.arguments]",
        "distributed_lock = true",
        "password = \"0123\"",
    ] {
        assert!(written.lines().any(|other| other == line), "{line} in {written}");
    }
    let mode = std::fs::metadata(place.path("regions.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it may contain passwords");
    round_trip(&place, "app.ini", &entries(DOGPILE, "cache."), "cache");
}

#[test]
fn names_of_oslo_cache_are_checked_and_written() {
    let place = Place::new();
    place.write("keystone.conf", OSLO);
    let (_, checked) = place.json(&["check", "keystone.conf", "--write", "regions.toml"]);
    let warnings = told(&checked, "warnings");
    let expected = [
        (8, "\"memcache_pool_unused_timeout\" has no effect: a connection is kept until it fails"),
        (13, "\"config_prefix\" has no effect: `from_flat` has a prefix of its own"),
    ];
    assert_eq!(warnings, expected.map(|(line, text)| (line, text.to_owned())));
    let written = std::fs::read_to_string(place.path("regions.toml")).unwrap();
    assert!(written.contains("backend = \"dogpile.cache.memcached\"\n"), "{written}");
    assert!(
        written.contains("url = \"127.0.0.1:1,127.0.0.1:2\"\n") && !written.contains("memcache_"),
        "{written}"
    );
    let wrap = "wrap = [\"dogpile.proxy.logging\", \"dogpile.proxy.readonly\", \"dogpile.proxy.logging\"]\n";
    assert!(written.contains(wrap), "{written}");
    round_trip(&place, "keystone.conf", &entries(OSLO, ""), "cache");

    place.write("off.conf", &OSLO.replace("enabled = true", "enabled = false"));
    assert_eq!(place.json(&["check", "off.conf", "--write", "off.toml"]).0, 0);
    let off = std::fs::read_to_string(place.path("off.toml")).unwrap();
    assert!(off.contains("backend = \"dogpile.cache.null\"\n") && !off.contains("arguments"), "{off}");
}

/// `pyramid_dogpile_cache` has defaults, and passes those of another backend, too.
#[test]
fn names_of_pyramid_are_checked_and_written() {
    let place = Place::new();
    let ini = "\
[DEFAULT]
file = %(here)s/kept
[app:main]
pyramid.includes = pyramid_dogpile_cache
dogpile_cache.regions = short, long
dogpile_cache.backend = dogpile.cache.memory
dogpile_cache.arguments.max_entries = 10
dogpile_cache.expiration_time = 600
dogpile_cache.key_mangler = dogpile.cache.util.sha1_mangle_key
dogpile_cache.function_key_generator = myapp.keys
dogpile_cache.short.expiration_time = 60
dogpile_cache.short.lock_dir = x
dogpile_cache.long.backend = dogpile.cache.dbm
dogpile_cache.long.arguments.filename = %(file)s
dogpile_cache.long.arguments.max_entries = 20
dogpile_cache.long.arguments.vacuum = false
";
    place.write("app.ini", ini);
    let (code, checked) = place.json(&["check", "app.ini", "--write", "regions.toml"]);
    assert_eq!((code, told(&checked, "problems")), (0, vec![]), "{checked:#}");
    let key_generator = "\"function_key_generator\" has no meaning here: the keys of cached functions are set in code, with \
                         `cache_on_arguments`";
    let expected = [
        (9, "key_mangler = \"dogpile.cache.util.sha1_mangle_key\" is read as \"sha1\", its name here"),
        (10, key_generator),
        (12, "\"lock_dir\" has no meaning here; it is left out"),
    ];
    assert_eq!(told(&checked, "warnings"), expected.map(|(line, text)| (line, text.to_owned())));
    let regions = Configuration::from_file(place.path("regions.toml")).unwrap().regions().unwrap();
    let shown: BTreeMap<_, _> = regions
        .iter()
        .map(|region| (region.name().to_owned(), format!("{:?}", region.backend().unwrap())))
        .collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(place.path("kept").is_file(), "%(here)s is the folder of the file: {shown:?}");
    assert_eq!(regions["short"].mangled_key("some_key").unwrap(), "53def077a4264bd3183d4eb21b1f56f883e1b572");
    place.write(
        "app.ini",
        &ini.replace("long.backend = dogpile.cache.dbm", "long.backend = dogpile.cache.null"),
    );
    let (_, checked) = place.json(&["check", "app.ini"]);
    assert!(
        told(&checked, "problems").iter().any(|(line, text)| *line == 14 && text.contains("filename")),
        "{checked:#}"
    );
    assert!(
        !told(&checked, "problems").iter().any(|(line, _)| *line == 7),
        "a default of others: {checked:#}"
    );
}

/// Each is reported in its line, and nothing is written.
#[test]
fn mistakes_in_an_ini_file_are_reported_with_their_lines() {
    let place = Place::new();
    let ini = "\
[app:main]
cache.backend = dogpile.cache.memory
cache.expiraton_time = 600
cache.serializer = yaml
cache.wrap = myapp.LoggingProxy
cache.arguments.max_entries = many
cache.jitter = %(absent)s
cache.type = memory
";
    place.write("app.ini", ini);
    let (code, checked) = place.json(&["check", "app.ini", "--write", "regions.toml"]);
    let problems = told(&checked, "problems");
    let lines: Vec<_> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!((code, &checked["written"]), (1, &Value::Null), "{checked:#}");
    assert!(lines.contains(&3) && lines.contains(&7), "{checked:#}");
    assert!(problems[0].1.contains("did you mean \"expiration_time\"?"), "{checked:#}");
    assert!(!place.path("regions.toml").exists());
    let mended = ini.replace("expiraton", "expiration").replace("%(absent)s", "5%%");
    place.write("app.ini", &mended);
    let (_, checked) = place.json(&["check", "app.ini"]);
    let problems = told(&checked, "problems");
    let lines: Vec<_> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 5, 6], "{checked:#}");
    assert!(problems[1].1.contains("did you mean \"dogpile.proxy.logging\"?"), "{checked:#}");
    let unknown = (8, "\"type\" has no meaning here; it is left out".to_owned());
    assert!(told(&checked, "warnings").contains(&unknown), "{checked:#}");
}

/// A value of several lines takes several lines of TOML as well, and not always the same number.
#[test]
fn mistake_after_a_value_of_several_lines_has_its_line() {
    let place = Place::new();
    let ini = "\
[app:main]
cache.backend = dogpile.cache.dbm
cache.arguments.filename = kept
    in several

    lines
cache.arguments.lock_timeout = soon
cache.expiration_time = 5
";
    place.write("app.ini", ini);
    let (_, checked) = place.json(&["check", "app.ini"]);
    let problems = told(&checked, "problems");
    let found = problems.iter().find(|(_, text)| text.contains("lock_timeout"));
    assert_eq!(found.map(|(line, _)| *line), Some(7), "{checked:#}");
}

#[test]
fn file_that_exists_is_not_overwritten_without_force() {
    let place = Place::new();
    place.write("app.ini", "[a]\ncache.backend = dogpile.cache.memory\ncache.expiration_time = 5\n");
    place.write("regions.toml", "precious");
    let answer = place.run(&["check", "app.ini", "--write", "regions.toml"]);
    assert_eq!(answer.code, 1);
    let error = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        error.contains("\"regions.toml\" exists, and nothing was written; overwrite it with --force"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(place.path("regions.toml")).unwrap(), "precious");
    let mode = |mode| {
        std::fs::set_permissions(place.path("regions.toml"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o600);
    let answer = place.run(&["check", "app.ini", "--write", "regions.toml", "--force"]).good();
    fits_a_terminal(&answer);
    assert!(answer.ends_with("wrote regions.toml\n"), "{answer}");
    // The application may run as another user of its group.
    mode(0o640);
    let answer = place.run(&["check", "app.ini", "--write", "regions.toml", "--force"]).good();
    fits_a_terminal(&answer);
    assert!(
        answer.contains(
            "wrote regions.toml\n  its group can read it (mode 640), as it could the file that was there"
        ),
        "{answer}"
    );
    let metadata = std::fs::metadata(place.path("regions.toml")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_eq!(place.json(&["check"]).0, 0);
}

#[test]
fn ini_file_without_regions_is_a_problem() {
    let place = Place::new();
    for (text, arguments, expected) in [
        ("[a]\nb = 1\n", &["check", "app.ini"][..], "there are no names that begin with"),
        (
            "[a]\nb = 1\n",
            &["check", "app.ini", "--prefix", "c."],
            "there are no names that begin with \"c.\"",
        ),
        ("[a]\nb = 1\n", &["check", "app.ini", "--section", "x"], "there is no section [x]"),
        ("[a]\ncache.x = 1\n[b]\ncache.x = 1\n", &["check", "app.ini"], "choose one with --section"),
        ("[a]\nb\n", &["check", "app.ini"], "expected \"name = value\""),
        ("[a]\ncache.expiration_time = 5\n", &["check", "app.ini"], "backend = \"\": the entry is missing"),
    ] {
        place.write("app.ini", text);
        let (code, checked) = place.json(arguments);
        assert_eq!((code, told(&checked, "problems").len()), (1, 1), "{text}: {checked:#}");
        assert!(told(&checked, "problems")[0].1.contains(expected), "{text}: {checked:#}");
    }
}

dogpile_tests::needs_redis_and_python! {
    /// Python writes with the ini file, and we read with what was written for us.
    #[test]
    fn converted_region_reads_what_python_stored() {
        let (python, server) = (python().unwrap(), RedisServer::start(&[]).unwrap());
        let place = Place::new();
        let ini = format!(
            "[app:main]\ncache.backend = dogpile.cache.redis\ncache.expiration_time = 600\ncache.arguments.host = 127.0.0.1\n\
             cache.arguments.port = {}\ncache.arguments.distributed_lock = true\ncache.arguments.redis_expiration_time = 900\n\
             cache.key_mangler = dogpile.cache.util.sha1_mangle_key\ncache.serializer = pickle\n",
            server.port()
        );
        place.write("app.ini", &ini);
        let stored = Command::new(python).args(["-c", STORING]).current_dir(place.path("")).output().unwrap();
        assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
        place.run(&["check", "app.ini", "--write", "regions.toml"]).good();
        let (code, found) = place.json(&["get", "cache", "tea"]);
        assert_eq!((code, &found["value"]), (0, &json!({ "price": [350, "ä"] })), "{found}");
    }
}
