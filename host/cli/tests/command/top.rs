//! `dogpile top`, of this process, of listeners that only look like one, and of servers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{Configuration, Regions};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::end_listening;
use serde_json::{Value, json};

use crate::{Answer, Place, fits_a_terminal};

const REGIONS: &str = "[statistics]\nsocket = 'app-{pid}.sock'\n\
                       [regions.prices]\nbackend = 'dogpile.cache.memory'\n\
                       [regions.users]\nbackend = 'dogpile.cache.memory'\n";

/// Returns a folder in which this process has a socket, and its regions.
fn serving() -> (Place, Regions) {
    let place = Place::new();
    let path = place.write("regions.toml", REGIONS);
    let regions = Configuration::from_file(path).unwrap().regions().unwrap();
    (place, regions)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Replies to each request at `path` with `reply`.
fn imitate(path: &Path, reply: String) {
    let listener = UnixListener::bind(path).unwrap();
    // It ends with the process of the tests.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while stream.read_exact(&mut [0; 11]).is_ok() {
                stream.write_all(format!("{reply}\n").as_bytes()).unwrap();
            }
        }
    });
}

#[test]
fn top_shows_the_numbers_of_a_process() {
    let (place, regions) = serving();
    for number in 0..8 {
        regions["prices"].get_or_create("key", || number).unwrap();
    }
    let mut command =
        place.command(&["--json", "top", "--connect", ".", "--interval", "0.1", "--count", "300"]);
    let mut top = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();

    let first = next();
    let process = &first["processes"][0];
    assert_eq!(process["pid"], std::process::id());
    let (prices, users) = (&first["regions"][0], &first["regions"][1]);
    assert_eq!((&prices["region"], &users["region"]), (&json!("prices"), &json!("users")));
    assert_eq!((&prices["requests"]["hit"], &prices["requests"]["created"]), (&json!(7), &json!(1)));
    // The ratio of two rates.
    assert!((prices["hit_ratio"].as_f64().unwrap() - 0.875).abs() < 1e-9, "{first}");
    assert_eq!(users["hit_ratio"], Value::Null);
    assert_eq!((&first["total"]["requests"]["hit"], &prices["breaker"]), (&json!(7), &json!("closed")));
    assert!(prices["creation_p99_seconds"].as_f64().unwrap() > 0.0);
    let since_start =
        prices["requests_per_second"].as_f64().unwrap() * process["interval_seconds"].as_f64().unwrap();
    assert_eq!(since_start.round(), 8.0);

    for number in 0..30 {
        regions["users"].get_or_create("key", || number).unwrap();
    }
    // However the requests are spread over the readings, the rates add up to them.
    let (mut sum, mut last) = (0.0, Value::Null);
    while last != json!(29) {
        let reading = next();
        let users = &reading["regions"][1];
        let seconds = reading["processes"][0]["interval_seconds"].as_f64().unwrap();
        sum += users["requests_per_second"].as_f64().unwrap() * seconds;
        last = users["requests"]["hit"].clone();
    }
    assert!((sum - 30.0).abs() < 1e-6, "{sum}");
    top.kill().unwrap();
    top.wait().unwrap();
}

#[test]
fn top_finds_the_processes_of_a_configuration() {
    let (place, _regions) = serving();
    imitate(&place.path("app-1.sock"), json!({ "version": 1, "pid": 1, "program": "other" }).to_string());
    // As after the end of its process.
    assert!(end_listening(UnixListener::bind(place.path("app-2.sock")).unwrap()));
    let answer = place.run(&["--json", "top", "--count", "2", "--interval", "0.1"]).good();
    let readings = lines(&answer);
    assert_eq!(readings.len(), 2);
    let processes = readings[1]["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 3, "{answer}");
    let mut pids: Vec<u64> = processes.iter().filter_map(|process| process["pid"].as_u64()).collect();
    pids.sort_unstable();
    assert_eq!(pids, [1, u64::from(std::process::id())]);
    let dead = processes.iter().find(|process| process["socket"].as_str().unwrap().ends_with("app-2.sock"));
    assert_eq!(dead.unwrap()["error"], "the process that opened it has ended");
}

#[test]
fn other_commands_leave_the_socket_of_an_application_alone() {
    let place = Place::new();
    let config = REGIONS.replace("app-{pid}", "app");
    let path = place.write("regions.toml", &config);
    place.run(&["check"]).good();
    assert!(!place.path("app.sock").exists());
    let _regions = Configuration::from_file(path).unwrap().regions().unwrap();
    place.run(&["check"]).good();
    place.run(&["check", "--explain", "prices"]).good();
    let answer = place.run(&["get", "prices", "key"]);
    assert!(!answer.err.contains("socket"), "{}", answer.err);
    assert!(place.path("app.sock").exists());
    place.run(&["top", "--once"]).good();
}

#[test]
fn page_fits_eighty_columns_and_escapes_what_it_shows() {
    let place = Place::new();
    let backend = json!({
        "backend": "dogpile.cache.redis", "breaker": "open", "errors": u64::MAX,
        "last_error": "\u{1b}[2Jcannot reach cache-with-a-long-name.internal.example.com:6379: connection refused\n\u{7}",
    });
    let region = |name: &str, scale: u64| {
        json!({
            "region": name,
            "requests": { "hit": 700 * scale, "stale_served": scale, "waited": 20 * scale, "created": 7, "failed": 3 * scale },
            "failed_creations": 5,
            "creation": { "count": 7, "buckets": [[0.000_012_3, 3], [0.99, 3], [null, 1]] },
            "creations_in_progress": { "count": 2, "waiters": 31, "oldest_seconds": 8.5 },
            "backends": [backend],
        })
    };
    let names = [
        "prices",
        "a region whose name is much too long for its column",
        "\u{1b}]0;title\u{7}茶茶茶茶茶茶茶",
    ];
    let regions: Vec<Value> =
        names.iter().zip([1, 9_999, u64::MAX / 1000]).map(|(name, scale)| region(name, scale)).collect();
    for pid in [4_000_000, 4_000_001] {
        let reply = json!({ "version": 1, "pid": pid, "program": "\u{1b}[31ma-program-with-a-long-name", "uptime_seconds": 12.5, "regions": regions });
        imitate(&place.path(&format!("{pid}.sock")), reply.to_string());
    }
    imitate(&place.path("strange.sock"), "\u{1b}[31mSSH-2.0".to_owned());
    let answer = place.run(&["top", "--connect", ".", "--once"]).good();
    println!("{answer}");
    for line in answer.lines() {
        let wide: usize = line.chars().filter(|character| *character == '茶').count();
        assert!(line.chars().count() + wide <= 80, "{} columns: {line}", line.chars().count() + wide);
    }
    assert!(!answer.contains(['\u{1b}', '\u{7}']), "{answer}");
    for text in
        ["2 processes", "saved/s", "open 2", "4000001 ", "total", "...", "62 waiting", "its reply is not"]
    {
        assert!(answer.contains(text), "{text} in {answer}");
    }
}

#[test]
fn hung_process_does_not_hold_up_the_others() {
    let (place, _regions) = serving();
    // No thread accepts its connections.
    let _hung = UnixListener::bind(place.path("hung.sock")).unwrap();
    let began = Instant::now();
    let answer = place.run(&["--json", "top", "--connect", ".", "--count", "2", "--interval", "0.1"]).good();
    assert!(began.elapsed() < Duration::from_secs(30), "each reading has a limit of two seconds");
    for reading in lines(&answer) {
        let mut found: Vec<String> = Vec::new();
        for process in reading["processes"].as_array().unwrap() {
            found.push(process["error"].as_str().unwrap_or("replied").to_owned());
        }
        assert_eq!(found, ["replied", "the process does not reply in time"]);
    }
}

#[test]
fn top_fails_if_nothing_replies() {
    let place = Place::new();
    let answer = place.run(&["top", "--connect", "absent.sock", "--once"]);
    assert_eq!((answer.code, &*answer.err), (1, ""));
    assert!(answer.out.contains("absent.sock: no process has opened it"), "{}", answer.out);
    place.write("regions.toml", "[regions.a]\nbackend = 'dogpile.cache.memory'\n");
    let answer = place.run(&["top", "--once"]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("there is nothing to show: \"regions.toml\""), "{}", answer.err);
    let answer = place.run(&["top", "--interval", "0"]);
    assert!(answer.err.contains("expected seconds from 0.1 to 3600"), "{}", answer.err);
}

#[test]
fn top_shows_servers_and_goes_on_without_them() {
    let started = RedisServer::start(&["--requirepass", "s3cret"])
        .and_then(|redis| Ok((redis, MemcachedServer::start(&[])?)));
    let (mut redis, memcached) = match started {
        Ok(servers) => servers,
        Err(why) => {
            eprintln!("ignored: {why}");
            return;
        }
    };
    let place = Place::new();
    let config = format!(
        "[regions.r]\nbackend = 'dogpile.cache.redis'\narguments = {{ url = 'redis://:s3cret@127.0.0.1:{}' }}\n\
         [regions.m]\nbackend = 'dogpile.cache.memcached'\narguments = {{ url = '127.0.0.1:{}' }}\n\
         [regions.tls]\nbackend = 'dogpile.cache.redis'\narguments = {{ host = '127.0.0.1', port = 1, ssl = true }}\n",
        redis.port(),
        memcached.port(),
    );
    place.write("regions.toml", &config);
    let shown = || {
        let answer = place.run(&["--json", "top", "--once"]).good();
        let mut servers = lines(&answer)[0]["servers"].as_array().unwrap().clone();
        servers.sort_by_key(|server| server["version"].to_string());
        servers
    };
    let servers = shown();
    let of = |kind: &str| {
        servers
            .iter()
            .find(|server| server["version"].as_str().is_some_and(|version| version.starts_with(kind)))
    };
    for kind in ["redis 7", "memcached 1"] {
        let server = of(kind.split(' ').next().unwrap()).unwrap_or_else(|| panic!("{kind} in {servers:?}"));
        assert!(
            server["connections"].as_u64().unwrap() >= 1 && server["operations_per_second"].is_number(),
            "{server}"
        );
    }
    let advice = "it uses TLS, which this command does not; run \"redis-cli --tls -h 127.0.0.1 -p 1 INFO\"";
    assert!(servers.iter().any(|server| server["error"] == advice), "{servers:?}");
    let page = place.run(&["top", "--once"]).good();
    println!("{page}");
    fits_a_terminal(&page);
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(advice), "{page}");
    assert!(page.contains("evicted/s") && !page.contains("s3cret"), "{page}");

    redis.kill();
    let servers = shown();
    assert!(
        servers
            .iter()
            .any(|server| server["version"].as_str().is_some_and(|version| version.starts_with("memcached")))
    );
    let gone = servers.iter().find(|server| server["server"] == format!("127.0.0.1:{}", redis.port()));
    assert!(gone.unwrap()["error"].as_str().unwrap().contains("refused"), "{servers:?}");
}

/// A process of another container has no process ID here.
#[test]
#[cfg(target_os = "linux")]
fn process_of_another_pid_namespace_is_shown() {
    let (place, _regions) = serving();
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        env!("CARGO_BIN_EXE_dogpile"),
        "--json",
        "top",
        "--connect",
        ".",
        "--once",
    ]);
    let Ok(output) = command.current_dir(place.path("")).output() else {
        eprintln!("ignored: needs unshare");
        return;
    };
    let answer = Answer::of(&output);
    if answer.err.starts_with("unshare: ") {
        eprintln!("ignored: {}", answer.err);
        return;
    }
    let reading = &lines(&answer.good())[0];
    assert_eq!(reading["processes"][0]["pid"], std::process::id(), "{reading}");
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_is_reported() {
    let (place, _regions) = serving();
    let mut command = place.command(&["top", "--connect", ".", "--once"]);
    let output = command.stdout(File::create("/dev/full").unwrap()).output().unwrap();
    let answer = Answer::of(&output);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("the output cannot be written\n  No space left on device"), "{}", answer.err);
}

/// Each reads the process on connections of its own, and a process that ends is left out or named.
#[test]
fn two_views_go_on_when_a_process_ends() {
    let (place, regions) = serving();
    let start = || {
        let mut command = place.command(&["--json", "top", "--connect", ".", "--interval", "0.1"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut views = [start(), start()];
    let mut outputs = views.each_mut().map(|view| BufReader::new(view.stdout.take().unwrap()).lines());
    let mut next =
        |number: usize| serde_json::from_str::<Value>(&outputs[number].next().unwrap().unwrap()).unwrap();
    for number in [0, 1] {
        assert_eq!(next(number)["processes"][0]["pid"], std::process::id());
    }
    drop(regions);
    for number in [0, 1] {
        // The socket may be read for the last time while it is closed.
        while next(number)["processes"][0]["pid"].is_number() {}
        // Its socket is closed before its file is removed.
        let reading = next(number);
        let error = reading["processes"][0]["error"].as_str().unwrap();
        assert!(
            ["no process has opened it", "the process that opened it has ended"].contains(&error),
            "{error}"
        );
    }
    for mut view in views {
        view.kill().unwrap();
        view.wait().unwrap();
    }
}

/// Runs `top` on a terminal, types `keys`, and returns what the terminal shows, with its settings after the command.
fn typing(place: &Place, keys: &str) -> String {
    let run = format!("'{}' top --connect . --interval 3600; stty -a", env!("CARGO_BIN_EXE_dogpile"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &run, "/dev/null"]).current_dir(place.path(""));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("TERM", "xterm").env_remove("NO_COLOR");
    let mut script = command.spawn().unwrap();
    let mut input = script.stdin.take().unwrap();
    let mut output = script.stdout.take().unwrap();
    let (mut shown, mut part) = (Vec::new(), [0; 4096]);
    // The page is there, so that keys are read by now.
    while !shown.ends_with(b"\x1b[J") {
        let length = output.read(&mut part).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&part[..length]);
    }
    input.write_all(keys.as_bytes()).unwrap();
    output.read_to_end(&mut shown).unwrap();
    drop(input);
    let (code, out) = (script.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&shown).into_owned());
    Answer { code, out, err: String::new() }.good()
}

#[test]
fn key_ends_the_view_and_the_terminal_is_restored() {
    let (place, _regions) = serving();
    for keys in ["xq", "\u{3}"] {
        let shown = typing(&place, keys);
        assert!(shown.contains("\u{1b}[2J\u{1b}[H") && shown.contains("prices"), "{shown}");
        assert!(shown.contains("isig icanon iexten echo "), "{shown}");
    }
}
