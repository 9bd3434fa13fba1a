//! Tests of `dogpile check`.

use dogpile::{CacheRegion, Configuration, RegionConfig};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::ClosedPort;
use serde_json::Value;

use crate::{Place, fits_a_terminal};

const BROKEN: &str = r#"color = "red"

[plugins]
path = ["nowhere"]

[regions.good]
backend = "dogpile.cache.memory"
expiration_time = "5m"

[regions.users]
backend = "dogpile.cache.memroy"
expiration_time = "one hour"
serializr = "json"
wrap = ["dogpile.proxy.logging", { name = "dogpile.proxy.key_prefix", arguments = { prefx = "u:" } }]

[regions.pages]
backend = "dogpile.cache.memory"
serializer = "yaml"
key_mangler = "sha2"

[regions.pages.arguments]
max_entires = 5
max_byts = 7

[regions.empty]
"#;

#[test]
fn valid_configuration_is_opened_and_timed() {
    let place = Place::new();
    place.write("regions.toml", "[regions.a]\nbackend = 'dogpile.cache.memory'\n");
    let (code, checked) = place.json(&["check"]);
    assert_eq!(code, 0);
    assert_eq!(checked["problems"], Value::Array(vec![]));
    let region = &checked["regions"][0];
    assert_eq!((&region["region"], &region["backend"]), (&"a".into(), &"dogpile.cache.memory".into()));
    assert!(region["open_ms"].as_f64().unwrap() > 0.0 && region["ping_ms"].as_f64().unwrap() > 0.0);
    fits_a_terminal(&place.run(&["check", "regions.toml"]).good());
}

#[test]
fn all_problems_are_reported_with_their_positions() {
    let place = Place::new();
    place.write("broken.toml", BROKEN);
    let (code, checked) = place.json(&["check", "broken.toml"]);
    assert_eq!(code, 1);
    let reported: Vec<(u64, u64, String)> = checked["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let number = |name: &str| problem[name].as_u64().unwrap();
            (number("line"), number("column"), problem["problem"].to_string())
        })
        .collect();
    let expected = [
        (1, 1, "unknown field `color`"),
        (4, 9, "nowhere"),
        (11, 1, "did you mean \\\"dogpile.cache.memory\\\"?"),
        (12, 1, "invalid expiration time \\\"one hour\\\""),
        (13, 1, "unknown field `serializr`"),
        (14, 34, "unknown argument \\\"prefx\\\""),
        (18, 1, "unknown serializer \\\"yaml\\\""),
        (19, 1, "unknown key mangler \\\"sha2\\\""),
        (22, 1, "unknown argument \\\"max_entires\\\""),
        (23, 1, "unknown argument \\\"max_byts\\\""),
        (25, 10, "missing field `backend`"),
    ];
    assert_eq!(reported.len(), expected.len(), "{reported:#?}");
    for ((line, column, text), expected) in reported.iter().zip(expected) {
        assert_eq!((*line, *column), (expected.0, expected.1), "{text}");
        assert!(text.contains(expected.2), "{text} instead of {}", expected.2);
    }
    assert_eq!(checked["regions"].as_array().unwrap().len(), 1, "the valid region should still be opened");
}

#[test]
fn positions_have_the_form_that_editors_parse() {
    let place = Place::new();
    place.write("broken.toml", BROKEN);
    let output = place.run(&["check", "broken.toml"]);
    assert_eq!(output.code, 1);
    fits_a_terminal(&output.out);
    assert!(
        output.out.contains("broken.toml:13:1: region \"users\"\n    unknown field `serializr`"),
        "{}",
        output.out
    );
    assert!(output.out.ends_with("regions that work: 1; 11 problems\n"), "{}", output.out);
}

#[test]
fn each_toml_syntax_error_is_reported() {
    let place = Place::new();
    place.write("regions.toml", "[regions.a]\nbackend = \nwrap = [\"x\"]\nserializer = 'json\n");
    let (code, checked) = place.json(&["check"]);
    let lines: Vec<_> = checked["problems"].as_array().unwrap().iter().map(|it| it["line"].clone()).collect();
    assert_eq!((code, lines), (1, vec![2.into(), 4.into()]));
}

#[test]
fn unreachable_server_is_reported_at_its_region() {
    let place = Place::new();
    let closed = ClosedPort::new();
    let port = closed.port();
    place.write(
        "regions.toml",
        &format!("[regions.gone]\nbackend = 'dogpile.cache.redis'\narguments = {{ url = 'redis://127.0.0.1:{port}/0' }}\n"),
    );
    let (code, checked) = place.json(&["check"]);
    assert_eq!((code, &checked["problems"][0]["line"]), (1, &1.into()));
    assert!(checked["regions"][0]["problem"][0].as_str().unwrap().contains("Redis"), "{checked}");
}

#[test]
fn silent_server_is_abandoned_after_the_time_limit() {
    let place = Place::new();
    // The system accepts connections for the listener, but no program reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    place.write(
        "regions.toml",
        &format!(
            "[regions.deaf]\nbackend = 'dogpile.cache.redis'\n\
             arguments = {{ host = '127.0.0.1', port = {port}, socket_timeout = 3600 }}\n\
             [regions.good]\nbackend = 'dogpile.cache.memory'\n"
        ),
    );
    let (code, checked) = place.json(&["check", "--time-limit", "1"]);
    assert_eq!(code, 1);
    let problems = checked["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["region"]), (1, &"deaf".into()), "{checked}");
    assert!(problems[0]["problem"].to_string().contains("within 1 seconds"), "{checked}");
}

#[test]
fn peek_at_a_pickle_in_a_json_region_is_a_problem() {
    let place = Place::new();
    let configuration = |serializer: &str| {
        let file = place.path("cache.db");
        format!(
            "[regions.a]\nbackend = 'dogpile.cache.dbm'\nserializer = '{serializer}'\n\
             [regions.a.arguments]\nfilename = '{}'\n",
            file.display()
        )
    };
    place.write("regions.toml", &configuration("pickle"));
    let region = CacheRegion::with_defaults("a", RegionConfig::default());
    Configuration::from_file(place.path("regions.toml")).unwrap().configure(&region).unwrap();
    region.set("key", vec!["value".to_owned()]).unwrap();
    assert_eq!(place.json(&["check", "--peek", "key"]).0, 0);

    place.write("regions.toml", &configuration("json"));
    let (code, checked) = place.json(&["check", "--peek", "missing", "--peek", "key"]);
    let problem = "key \"key\": the value seems to be pickle, but the region reads json; set serializer = \"pickle\" to \
                   share values with the program that stored it";
    assert_eq!((code, &checked["problems"][0]["problem"][0]), (1, &problem.into()));
    assert_eq!(checked["problems"].as_array().unwrap().len(), 1);

    let (_, inspected) = place.json(&["inspect", "a", "key"]);
    assert_eq!(inspected["value"]["foreign_format"], "pickle");
    let shown = place.run(&["inspect", "a", "key"]).out;
    assert!(shown.contains("\nwarning "), "{shown}");
}

#[test]
fn region_is_explained_without_being_opened() {
    let place = Place::new();
    // No server listens there.
    place.write(
        "regions.toml",
        "[regions.a]\nbackend = 'dogpile.cache.redis'\nexpiration_time = '5m'\narguments = { port = 1 }\n",
    );
    let answer = place.run(&["check", "--explain", "a"]).good();
    fits_a_terminal(&answer);
    assert!(answer.starts_with("region \"a\" on dogpile.cache.redis, for get_or_create\n\n"), "{answer}");
    assert!(answer.contains("\n  up to 5m              fresh: all callers get it.\n"), "{answer}");
    let (code, explained) = place.json(&["check", "regions.toml", "--explain", "a"]);
    assert_eq!((code, &explained["sections"][0]["title"]), (0, &"A value, by its age".into()));
    assert_eq!(explained["sections"][0]["cases"][1]["when"], "past 5m");
    let unknown = place.run(&["check", "--explain", "b"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("no region \"b\""), "{}", unknown.err);
}

dogpile_tests::needs_redis! {
    #[test]
    fn server_that_keeps_keys_forever_is_a_warning() {
        let (place, server) = crate::load::shared();
        let (code, checked) = place.json(&["check"]);
        assert_eq!((code, &checked["problems"]), (0, &Value::Array(vec![])), "a warning is not a problem");
        let warning = &checked["warnings"][0];
        assert_eq!((&warning["region"], &warning["line"]), (&"a".into(), &2.into()), "{checked}");
        let text = warning["problem"][0].as_str().unwrap();
        assert!(
            text.contains("never expire on the server") && text.contains("\"redis_expiration_time\""),
            "{text}"
        );
        let shown = place.run(&["check"]).good();
        fits_a_terminal(&shown);
        assert!(shown.contains("regions.toml:2:1: warning: region \"a\"\n"), "{shown}");
        assert!(shown.ends_with("regions that work: 1; nothing is wrong; 1 warning\n"), "{shown}");

        let expiring = format!(
            "[regions.a]\nbackend = 'dogpile.cache.redis'\n\
             arguments = {{ host = '127.0.0.1', port = {}, redis_expiration_time = '1h' }}\n",
            server.port()
        );
        place.write("regions.toml", &expiring);
        let (code, checked) = place.json(&["check"]);
        assert_eq!((code, &checked["warnings"]), (0, &Value::Array(vec![])), "{checked}");
    }
}

/// Returns the messages of the problems.
fn problems(checked: &Value) -> Vec<String> {
    let problems = checked["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem["problem"].as_array().unwrap()[0].as_str().unwrap().to_owned()).collect()
}

/// Its clients treat a server that is down as empty, so that a read succeeds.
#[test]
fn memcached_server_that_is_down_is_a_problem() {
    let place = Place::new();
    let closed = ClosedPort::new();
    let port = closed.port();
    for backend in ["memcached", "pymemcache", "pylibmc", "bmemcached"] {
        let regions = format!(
            "[regions.a]\nbackend = 'dogpile.cache.{backend}'\narguments = {{ url = '127.0.0.1:{port}', \
             memcached_expire_time = 60 }}\n"
        );
        place.write("regions.toml", &regions);
        let (code, checked) = place.json(&["check"]);
        assert_eq!((code, problems(&checked).len()), (1, 1), "{checked:#}");
        let expected = format!("cannot reach memcached server 127.0.0.1:{port}: Connection refused");
        assert!(problems(&checked)[0].starts_with(&expected), "{checked:#}");
    }
}

dogpile_tests::needs_redis_and_memcached! {
    #[test]
    fn server_of_another_kind_is_a_problem() {
        let (redis, memcached) = (RedisServer::start(&[]).unwrap(), MemcachedServer::start(&[]).unwrap());
        let place = Place::new();
        let regions = format!(
            "[regions.a]\nbackend = 'dogpile.cache.pylibmc'\nexpiration_time = 60\nmax_stale = 0\n\
             arguments = {{ url = '127.0.0.1:{}' }}\n\
             [regions.b]\nbackend = 'dogpile.cache.redis'\nexpiration_time = 60\nmax_stale = 0\n\
             arguments = {{ host = '127.0.0.1', port = {}, socket_timeout = 0.5 }}\n\
             [regions.c]\nbackend = 'dogpile.cache.redis'\nexpiration_time = 60\nmax_stale = 0\n\
             arguments = {{ url = 'rediss://127.0.0.1:{}', socket_timeout = 0.5 }}\n",
            redis.port(),
            memcached.port(),
            redis.port()
        );
        place.write("regions.toml", &regions);
        let (code, checked) = place.json(&["check"]);
        let found = problems(&checked);
        assert_eq!((code, found.len()), (1, 3), "{checked:#}");
        assert!(
            found[0].contains("replied as Redis does, but backend \"dogpile.cache.pylibmc\" needs memcached"),
            "{found:?}"
        );
        assert!(
            found[1].contains("replied as memcached does, but backend \"dogpile.cache.redis\" needs Redis"),
            "{found:?}"
        );
        assert!(
            found[2].contains("replied without TLS, but the region uses TLS; is this the port for TLS?"),
            "{found:?}"
        );

        let right =
            regions.replace(&format!("port = {},", memcached.port()), &format!("port = {},", redis.port()));
        let right = right
            .replace(&format!("url = '127.0.0.1:{}'", redis.port()), &format!("url = '{}'", memcached.url()));
        place.write("regions.toml", right.split("[regions.c]").next().unwrap());
        let (code, checked) = place.json(&["check"]);
        assert_eq!((code, problems(&checked)), (0, vec![]), "{checked:#}");
    }
}

#[test]
fn regions_that_share_keys_are_a_warning() {
    let place = Place::new();
    let region = |name: &str, more: &str| {
        format!(
            "[regions.{name}]\nbackend = 'dogpile.cache.dbm'\nexpiration_time = 5\narguments = {{ filename = 'kept' }}\n{more}\n"
        )
    };
    let warnings = |regions: &str| {
        place.write("regions.toml", regions);
        let (code, checked) = place.json(&["check"]);
        assert_eq!(code, 0, "{checked:#}");
        let warnings = checked["warnings"].as_array().unwrap().clone();
        let told = warnings.iter().map(|warning| {
            (
                warning["region"].as_str().unwrap().to_owned(),
                warning["problem"][0].as_str().unwrap().to_owned(),
            )
        });
        told.collect::<Vec<_>>()
    };
    let shared = warnings(&[region("orders", ""), region("users", "")].concat());
    assert_eq!((shared.len(), shared[0].0.as_str()), (1, "users"), "{shared:?}");
    let text = &shared[0].1;
    assert!(text.starts_with("its keys are also those of region \"orders\": both are in "), "{text}");
    assert!(
        text.contains("arguments = { prefix = \"users:\" }") && !text.contains("serializers differ"),
        "{text}"
    );
    let differing = warnings(&[region("orders", ""), region("users", "serializer = 'pickle'")].concat());
    assert!(
        differing[0].1.ends_with("their serializers differ, so that each replaces the values of the other")
    );
    let prefix = "wrap = [{ name = \"dogpile.proxy.key_prefix\", arguments = { prefix = \"users:\" } }]";
    for different in [prefix, "key_mangler = 'sha1'"] {
        assert_eq!(warnings(&[region("orders", ""), region("users", different)].concat()), []);
    }
}

#[test]
fn empty_configuration_is_a_warning() {
    let place = Place::new();
    place.write("regions.toml", "");
    let answer = place.run(&["check"]).good();
    let expected = "regions.toml:1:1: warning:\n    no region is configured; add a table, such as [regions.users]\n\
                    regions that work: 0; nothing is wrong; 1 warning\n";
    assert_eq!(answer, expected);
}

#[test]
fn invalid_argument_is_one_problem() {
    let place = Place::new();
    place.write(
        "regions.toml",
        "[regions.a]\nbackend = 'dogpile.cache.memcached'\nexpiration_time = 5\narguments = { url = 'redis://h:1' }\n",
    );
    let (code, checked) = place.json(&["check"]);
    let problem = &checked["problems"][0];
    assert_eq!((code, problems(&checked).len(), &problem["line"]), (1, 1, &4.into()), "{checked:#}");
    let text = "invalid argument \"url\": a server is \"host:port\" or \"unix:/path\", not a URL";
    assert_eq!(problem["problem"][1], text);
}

/// As for the other commands.
#[test]
fn file_can_be_given_in_three_ways() {
    let place = Place::new();
    place.write("other.toml", "[regions.a]\nbackend = 'dogpile.cache.null'\n");
    place.run(&["check", "other.toml"]).good();
    place.run(&["check", "--config", "other.toml"]).good();
    let answer = place.command(&["check"]).env("DOGPILE_CONFIG", "other.toml").output().unwrap();
    assert!(answer.status.success());
    let answer = place.run(&["check"]);
    assert_eq!(answer.code, 1);
    let error = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "error: the configuration \"regions.toml\" does not exist; name another file with --config, or in the \
                    environment variable DOGPILE_CONFIG";
    assert_eq!(error, expected);
}
