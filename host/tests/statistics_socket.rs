//! The socket that `[statistics]` opens: what it shows, who may use it, and when it ends.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dogpile::{CacheRegion, Configuration, ConfigurationError, RegionConfig, Regions};
use serde_json::{Value, json};

/// The longest wait for a reply. It has slack for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder for a socket, and the configuration of an application.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("app.sock")
    }

    fn configuration(&self, regions: &str) -> Configuration {
        self.with_socket("app.sock", regions)
    }

    fn with_socket(&self, socket: &str, regions: &str) -> Configuration {
        let path = self.0.path().join("regions.toml");
        fs::write(&path, format!("[statistics]\nsocket = {socket:?}\n{regions}")).unwrap();
        Configuration::from_file(path).unwrap()
    }

    fn regions(&self) -> Regions {
        self.configuration("[regions.a]\nbackend = 'dogpile.cache.memory'").regions().unwrap()
    }

    /// Returns the error of a configuration with `socket`, without the path of the folder.
    fn refusal(&self, socket: &str) -> (ErrorKind, String) {
        let regions = "[regions.a]\nbackend = 'dogpile.cache.memory'";
        let error = self.with_socket(socket, regions).regions().unwrap_err();
        let ConfigurationError::Statistics { source, .. } = &error else { panic!("{error}") };
        assert_eq!((error.line(), error.setting()), (Some(2), Some("statistics.socket")));
        (source.kind(), format!("{error:#}").replace(self.0.path().to_str().unwrap(), "FOLDER"))
    }
}

/// A connection to a socket.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn ask(&mut self, request: &str) -> Value {
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn ask(path: &Path) -> Value {
    Client::connect(path).ask("statistics")
}

fn names(snapshot: &Value) -> Vec<&str> {
    snapshot["regions"].as_array().unwrap().iter().map(|region| region["region"].as_str().unwrap()).collect()
}

#[test]
fn socket_shows_what_regions_counted() {
    let place = Place::new();
    let regions = place.regions();
    let mut client = Client::connect(&place.socket());
    let before = client.ask("statistics");
    for _ in 0..4 {
        regions["a"].get_or_create("key", || 1).unwrap();
    }
    assert_eq!(regions["a"].get::<i32>("other").unwrap(), None);
    let creating = regions["a"].get_or_create("slow", || client.ask("statistics")).unwrap();
    let after = client.ask("statistics");

    assert_eq!((&before["version"], &before["pid"]), (&json!(1), &json!(std::process::id())));
    assert!(before["program"].as_str().unwrap().starts_with("statistics_socket"), "{before}");
    assert!(before["uptime_seconds"].as_f64().unwrap() <= after["uptime_seconds"].as_f64().unwrap());
    let (before, creating, region) = (&before["regions"][0], &creating["regions"][0], &after["regions"][0]);
    let ended = ["hit", "created", "miss"].map(|outcome| region["requests"][outcome].as_u64().unwrap());
    assert_eq!((ended, region["requests"].as_object().unwrap().len()), ([3, 2, 1], 10));
    assert_eq!(before["requests"]["hit"], 0);
    assert_eq!(creating["creations_in_progress"]["count"], 1);
    assert!(creating["creations_in_progress"]["oldest_seconds"].is_number());
    assert_eq!(region["creations_in_progress"], json!({ "count": 0, "waiters": 0, "oldest_seconds": null }));
    let creation = &region["creation"];
    let buckets = creation["buckets"].as_array().unwrap();
    let in_buckets: u64 = buckets.iter().map(|bucket| bucket[1].as_u64().unwrap()).sum();
    assert_eq!((creation["count"].as_u64(), in_buckets), (Some(2), 2), "{creation}");
    assert_eq!(region["backends"][0]["backend"], "dogpile.cache.memory");
    assert_eq!(region["backends"][0]["breaker"], "closed");
    let not_stored = json!({ "superseded": 0, "lease_lost": 0, "backend": 0, "serialization": 0 });
    assert_eq!(region["not_stored"], not_stored);
}

#[test]
fn unknown_request_is_reported_and_the_connection_goes_on() {
    let place = Place::new();
    let _regions = place.regions();
    let mut client = Client::connect(&place.socket());
    let refused = client.ask("KEYS *");
    assert_eq!(refused["error"], "unknown request \"KEYS *\"; send a line with the word statistics");
    assert_eq!(names(&client.ask("statistics")), ["a"]);
}

#[test]
fn region_can_leave_statistics_off() {
    let place = Place::new();
    let regions = "[regions.a]\nbackend = 'dogpile.cache.memory'\nstatistics = false\n\
                   [regions.b]\nbackend = 'dogpile.cache.memory'";
    let regions = place.configuration(regions).regions().unwrap();
    assert!(regions["a"].statistics().unwrap().is_none() && regions["b"].statistics().unwrap().is_some());
    assert_eq!(names(&ask(&place.socket())), ["b"]);
}

#[test]
fn configuration_without_its_socket_opens_none() {
    let place = Place::new();
    let configuration = place.configuration("[regions.a]\nbackend = 'dogpile.cache.memory'");
    assert_eq!(configuration.statistics_socket(), Some(place.socket()));
    let configuration = configuration.without_statistics_socket();
    assert_eq!(configuration.statistics_socket(), None);
    let regions = configuration.regions().unwrap();
    assert!(!place.socket().exists() && regions["a"].statistics().unwrap().is_none());
}

#[test]
fn region_that_gets_another_backend_is_shown_once() {
    let place = Place::new();
    let configuration = place.configuration("[regions.a]\nbackend = 'dogpile.cache.memory'");
    let region = CacheRegion::new("a");
    region.configure(configuration.region_config("a").unwrap()).unwrap();
    region.get_or_create("key", || 1).unwrap();
    let other = RegionConfig::new("dogpile.cache.null").replace_existing_backend();
    region.get_or_create("held", || region.configure(other).map(drop).is_ok()).unwrap();
    let snapshot = ask(&place.socket());
    assert_eq!(names(&snapshot), ["a"]);
    assert_eq!(snapshot["regions"][0]["requests"]["created"], 2);
    assert_eq!(snapshot["regions"][0]["backends"][0]["backend"], "dogpile.cache.null");
}

#[test]
fn file_is_removed_with_the_last_region() {
    let place = Place::new();
    let configuration = place.configuration("[regions.a]\nbackend = 'dogpile.cache.memory'");
    assert!(!place.socket().exists(), "reading a configuration opens nothing");
    let (one, other) = (configuration.regions().unwrap(), place.regions());
    assert_eq!(names(&ask(&place.socket())), ["a", "a"], "one process shares one socket");
    let mut client = Client::connect(&place.socket());
    drop(one);
    assert_eq!(names(&client.ask("statistics")), ["a"]);
    drop(other);
    assert!(!place.socket().exists());
    let mut rest = String::new();
    assert_eq!(client.0.read_to_string(&mut rest).unwrap(), 0, "the connection is closed: {rest}");
    let _again = place.regions();
    assert_eq!(names(&ask(&place.socket())), ["a"]);
}

#[test]
fn path_can_contain_the_process_id() {
    let place = Place::new();
    let configuration = place.with_socket("app-{pid}.sock", "[regions.a]\nbackend = 'dogpile.cache.memory'");
    assert_eq!(configuration.statistics_socket(), Some(place.0.path().join("app-{pid}.sock")));
    let _regions = configuration.regions().unwrap();
    let path = place.0.path().join(format!("app-{}.sock", std::process::id()));
    assert_eq!(names(&ask(&path)), ["a"]);
}

#[test]
fn file_is_for_its_owner_only() {
    let place = Place::new();
    let _regions = place.regions();
    let file = fs::symlink_metadata(place.socket()).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 2, "nothing else is left");
}

/// Another user is refused twice: by the mode of the file, and by the process.
#[test]
#[cfg(target_os = "linux")]
fn other_users_are_refused() {
    let place = Place::new();
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _regions = place.regions();
    // Perl is part of each Debian, in a place that all users can read.
    let connect = "use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; alarm 20;\n\
                   my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or do { print \"no: $!\"; exit };\n\
                   $s->autoflush(1); print $s \"statistics\\n\"; print 'got:', scalar <$s>";
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-e", connect]);
        let output = command.arg(place.socket()).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let is_root = fs::metadata(place.0.path()).unwrap().uid() == 0;
    let Some(refused) = Some(as_nobody).filter(|_| is_root).and_then(|ask| ask()) else {
        let is_needed = is_root && std::env::var_os("DOGPILE_TESTS_NEED_SERVERS").is_some();
        assert!(!is_needed, "needs setpriv and perl");
        eprintln!("ignored: needs root, setpriv, and perl");
        return;
    };
    assert_eq!(refused, "no: Permission denied");
    // The process itself refuses a user whom the file lets in.
    fs::set_permissions(place.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(as_nobody().unwrap(), "got:", "the process closes the connection");
}

/// Serves the socket of another process of this test, until its standard input ends.
#[cfg(target_os = "linux")]
fn serve_in(folder: &Path) {
    let _regions = Configuration::from_file(folder.join("regions.toml")).unwrap().regions().unwrap();
    println!("\nserving");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A client of another container has no process ID there. It is known by its user.
#[test]
#[cfg(target_os = "linux")]
fn clients_of_another_pid_namespace_are_served() {
    const FOLDER: &str = "DOGPILE_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return serve_in(Path::new(&folder));
    }
    let place = Place::new();
    let _configuration = place.configuration("[regions.a]\nbackend = 'dogpile.cache.memory'");
    let new_namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork"]);
        command
    };
    if !new_namespace().arg("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("ignored: needs unshare, and the permission to use it");
        return;
    }
    let mut command = new_namespace();
    command.arg(std::env::current_exe().unwrap()).env(FOLDER, place.0.path());
    command.args(["clients_of_another_pid_namespace_are_served", "--exact", "--nocapture"]);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "serving"));
    assert_eq!(names(&ask(&place.socket())), ["a"]);
    // The server in the other namespace is alive, although it has no process ID here, or one that this process sees.
    assert_eq!(place.refusal("app.sock").0, ErrorKind::AddrInUse);
    drop(server.stdin.take());
    // What it prints at its end must not fail.
    lines.for_each(drop);
    assert!(server.wait().unwrap().success());
}

#[test]
fn socket_of_a_dead_process_is_replaced() {
    let place = Place::new();
    // The file stays when its listener is closed, as after the death of a process.
    drop(UnixListener::bind(place.socket()).unwrap());
    let _regions = place.regions();
    assert_eq!(names(&ask(&place.socket())), ["a"]);
}

#[test]
fn socket_of_a_live_process_is_left_alone() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let (kind, error) = place.refusal("app.sock");
    assert_eq!(kind, ErrorKind::AddrInUse);
    let expected = "FOLDER/regions.toml, line 2: cannot open the statistics socket \"FOLDER/app.sock\": ";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.contains(" has it open; put {pid} into the path"), "{error}");
    #[cfg(target_os = "linux")]
    assert!(error.contains(&format!(": process {} has", std::process::id())), "{error}");
    drop(listener);
}

/// A forked child keeps the descriptor of its parent. It is still known which process listened.
#[test]
#[cfg(target_os = "linux")]
fn socket_that_only_a_child_of_a_dead_process_has_is_replaced() {
    let place = Place::new();
    let parent = "import os, socket, sys, time\n\
                  s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)\n\
                  child = os.fork()\n\
                  if child: print(child, flush=True); os._exit(0)\n\
                  os.close(1); os.close(2); time.sleep(60)";
    let output = Command::new("python3").args(["-c", parent]).arg(place.socket()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        assert!(std::env::var_os("DOGPILE_TESTS_NEED_SERVERS").is_none(), "needs python3");
        eprintln!("ignored: needs python3");
        return;
    };
    let child = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    UnixStream::connect(place.socket()).expect("the child has the socket");
    let _regions = place.regions();
    assert_eq!(names(&ask(&place.socket())), ["a"]);
    Command::new("kill").arg(child).status().unwrap();
}

#[test]
fn other_file_is_left_alone() {
    let place = Place::new();
    fs::write(place.socket(), "mine").unwrap();
    let (kind, error) = place.refusal("app.sock");
    assert_eq!(kind, ErrorKind::AlreadyExists);
    assert!(
        error.ends_with("another kind of file has its path; remove that file, or use another path"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "mine");
}

#[test]
fn path_that_cannot_be_used_is_explained() {
    let place = Place::new();
    let (kind, error) = place.refusal(&"x".repeat(120));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(
        error.contains("bytes, which is too long for a unix socket; use a path of at most 100 bytes"),
        "{error}"
    );
    let (kind, error) = place.refusal("absent/app.sock");
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(
        error.contains("its folder cannot be opened: ") && error.ends_with("create the folder"),
        "{error}"
    );
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (kind, error) = place.refusal("app.sock");
    assert_eq!(kind, ErrorKind::PermissionDenied);
    assert!(
        error.contains("other users can replace files in its folder (mode 777); run \"chmod go-w FOLDER\""),
        "{error}"
    );
    let error = Configuration::from_toml("[statistics]\nsocket = 'a{id}'").unwrap_err().to_string();
    assert!(
        error.starts_with("the configuration, line 2, column 10: invalid path of a socket \"a{id}\""),
        "{error}"
    );
}

/// Connections that do nothing, and one that does not read, hinder neither the others nor the end.
#[test]
fn hung_clients_do_not_block_others() {
    let place = Place::new();
    let regions = place.regions();
    let mut greedy = UnixStream::connect(place.socket()).unwrap();
    greedy.set_write_timeout(Some(PATIENCE)).unwrap();
    greedy.set_nonblocking(true).unwrap();
    // Requests until the process reads no more, because its replies are not read.
    while greedy.write_all(&b"statistics\n".repeat(20)).is_ok() {}
    let idle: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(place.socket()).unwrap()).collect();
    assert_eq!(names(&ask(&place.socket())), ["a"]);
    drop(regions);
    assert!(!place.socket().exists());
    drop((greedy, idle));
}
