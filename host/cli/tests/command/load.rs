//! `dogpile bench` and `dogpile stampede`.

use std::fs;

use dogpile_tests::redis::RedisServer;
use serde_json::{Value, json};

use crate::{Place, fits_a_terminal};

fn in_memory() -> Place {
    let place = Place::new();
    place.write("regions.toml", "[regions.a]\nbackend = 'dogpile.cache.memory'\n");
    place
}

/// Returns a region over a server, with its lock.
pub(crate) fn shared() -> (Place, RedisServer) {
    let server = RedisServer::start(&[]).unwrap();
    let place = Place::new();
    let regions = format!(
        "[regions.a]\nbackend = 'dogpile.cache.redis'\n\
         arguments = {{ host = '127.0.0.1', port = {}, distributed_lock = true }}\n",
        server.port()
    );
    place.write("regions.toml", &regions);
    (place, server)
}

#[test]
fn bench_counts_every_call_and_draws_its_histogram() {
    let place = in_memory();
    let bench = ["bench", "a", "--operations", "500", "--threads", "2", "--keys", "10", "--writes", "20"];
    let (code, measured) = place.json(&bench);
    let count = |sort: &str| measured[sort]["count"].as_u64().unwrap();
    assert_eq!((code, count("reads") + count("writes")), (0, 1000), "{measured}");
    assert!(count("writes") > 100 && count("writes") < 300, "about a fifth are writes: {measured}");
    assert_eq!((&measured["misses"], &measured["failures"]), (&json!(0), &json!(0)));
    for sort in ["reads", "writes"] {
        let at = |name: &str| measured[sort][name].as_f64().unwrap();
        assert!(
            at("p50_us") > 0.0 && at("p50_us") <= at("p99_us") && at("p99_us") <= at("longest_us"),
            "{measured}"
        );
    }
    let answer = place.run(&[&bench[..], &["--svg", "bench.svg"]].concat());
    assert_eq!(answer.err, "", "progress is drawn on a terminal only");
    let drawn = answer.good();
    fits_a_terminal(&drawn);
    assert!(drawn.contains("calls a second on 2 threads") && drawn.contains("####"), "{drawn}");
    let on_a_terminal = place.on_a_terminal("bench a --operations 500 --threads 2", "1");
    assert!(on_a_terminal.contains("\r[#") && on_a_terminal.contains("100 %"), "{on_a_terminal}");
    let svg = fs::read_to_string(place.path("bench.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("steelblue") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(
        drawn.starts_with("region \"a\": ") && drawn.contains("\n  took  ") && drawn.contains("% of calls\n"),
        "{drawn}"
    );
    for text in [
        "Durations of calls of region &quot;a&quot;",
        "calls a second on 2 threads",
        ">reads: ",
        ">took<",
        ">0%<",
        ">of calls<",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
}

dogpile_tests::needs_redis! {
    #[test]
    fn bench_leaves_no_key_behind() {
        let (place, server) = shared();
        place.run(&["bench", "a", "--operations", "50", "--keys", "20"]).good();
        assert_eq!(server.say(&["DBSIZE"]).trim(), "0", "{}", server.say(&["KEYS", "*"]));
    }
}

dogpile_tests::needs_redis! {
    #[test]
    fn bench_of_an_unreachable_server_fails() {
        let (place, mut server) = shared();
        server.kill();
        let answer = place.run(&["bench", "a", "--operations", "5"]);
        assert_eq!(answer.code, 1);
        assert!(answer.err.starts_with("error: region \"a\" could not set \"dogpile-bench-"), "{}", answer.err);
    }
}

/// Returns the number of threads with each role.
fn roles(happened: &Value) -> [u64; 5] {
    ["created", "waited", "got_old_value", "hit", "failed"].map(|role| happened[role].as_u64().unwrap())
}

const SMALL: [&str; 8] = ["stampede", "a", "--processes", "2", "--threads", "3", "--takes", "100"];

dogpile_tests::needs_redis! {
    #[test]
    fn one_thread_of_all_processes_creates_a_cold_key() {
        let (place, server) = shared();
        let (code, happened) = place.json(&SMALL);
        let [created, waited, old, hit, failed] = roles(&happened);
        // A thread that starts late on a busy machine finds the new value.
        assert_eq!((code, created, waited + hit, old, failed), (0, 1, 5, 0, 0), "{happened:#}");
        let rows = happened["rows"].as_array().unwrap();
        let creator = rows.iter().find(|row| row["role"] == "created").unwrap();
        let made = creator["created_us"][1].as_u64().unwrap();
        for row in rows {
            assert!(
                row["returned_us"].as_u64().unwrap() >= made,
                "no thread returns before the value is created: {row}"
            );
        }
        assert_eq!(server.say(&["DBSIZE"]).trim(), "0", "the key is removed: {}", server.say(&["KEYS", "*"]));
    }
}

#[test]
fn file_lock_excludes_creators_of_all_processes() {
    let place = Place::new();
    place.write(
        "regions.toml",
        "[regions.a]\nbackend = 'dogpile.cache.dbm'\narguments = { filename = 'kept' }\n",
    );
    let (code, happened) = place.json(&SMALL);
    assert_eq!((code, roles(&happened)[0], roles(&happened)[4]), (0, 1, 0), "{happened:#}");
}

dogpile_tests::needs_redis! {
    #[test]
    fn other_threads_get_the_stale_value_during_a_renewal() {
        let (place, _server) = shared();
        // Long enough for all threads to ask while it is made, even on a busy machine.
        let mut stale = SMALL;
        stale[7] = "1500";
        let (code, happened) = place.json(&[&stale[..], &["--stale"]].concat());
        let [created, waited, old, hit, failed] = roles(&happened);
        assert_eq!((code, created, failed, waited + old + hit), (0, 1, 0, 5), "{happened:#}");
        // A thread whose request comes while the new value is stored looks like one that waited for it.
        assert!(old > 0 && waited <= 1, "{happened:#}");
    }
}

#[test]
fn stampede_is_drawn_as_a_timeline() {
    let place = in_memory();
    let answer = place.run(&[&SMALL[..], &["--svg", "stampede.svg"]].concat()).good();
    fits_a_terminal(&answer);
    let creators = answer.lines().filter(|line| line.ends_with("created") && line.contains('#')).count();
    assert_eq!(creators, 2, "{answer}");
    assert!(answer.contains("6 threads of 2 processes: 2 created"), "one creator per process: {answer}");
    assert!(answer.contains("note: more than one created"), "{answer}");
    let svg = fs::read_to_string(place.path("stampede.svg")).unwrap();
    assert!(svg.contains(">1.2</text>") && svg.contains("seagreen"), "{svg}");
    for text in [
        "Stampede on one key of region &quot;a&quot;",
        "6 threads of 2 processes: 2 created",
        ">created (2)<",
        ">thick: the creator runs<",
        ">process.thread<",
        ">0<",
        " ms<",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    assert!(answer.starts_with("stampede on one key of region \"a\"\n\ntime           0 "), "{answer}");
    assert!(
        answer.contains("\nprocess.thread |") && answer.contains(" . waits   # creates   | gets its value\n"),
        "{answer}"
    );
}

/// A measurement may take minutes. The region's file shows whether it began.
#[test]
fn drawing_that_cannot_be_written_is_reported_at_once() {
    let place = Place::new();
    place.write(
        "regions.toml",
        "[regions.a]\nbackend = 'dogpile.cache.dbm'\narguments = { filename = 'kept' }\n",
    );
    for command in ["bench", "stampede"] {
        let answer = place.run(&[command, "a", "--svg", "nowhere/drawing.svg"]);
        assert!(answer.err.starts_with("error: \"nowhere/drawing.svg\" cannot be written"), "{}", answer.err);
        assert!(answer.code == 1 && !place.path("kept").exists(), "{command}");
    }
}

#[test]
fn stampede_that_cannot_begin_fails_with_the_reason() {
    let place = in_memory();
    let answer = place.run(&["stampede", "b"]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("no region \"b\""), "{}", answer.err);
    let alone = place.run(&["stampede-process", "a", "k", "--threads", "1", "--takes", "1", "--number", "0"]);
    assert!(alone.err.contains("is started by `dogpile stampede`"), "{}", alone.err);
}
