//! Servers whose replies to a login, to requests for the topology, and to commands are wrong or malformed.
//!
//! Each call ends in time with an error that repeats no secret, and later calls are right.

use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;

const TIMEOUT: Duration = Duration::from_millis(500);

/// Much longer than any call takes, so that only a call that hangs exceeds it.
const HANGING: Duration = Duration::from_secs(10);

const PASSWORD: &str = "hunter2";

fn config(backend: &str) -> RegionConfig {
    RegionConfig::new(backend)
        .argument("username", "user")
        .argument("password", PASSWORD)
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
}

fn single(server: &HostileServer) -> CacheRegion {
    let config = config("dogpile.cache.redis").argument("host", "127.0.0.1").argument("db", 3);
    region_of("lied to", config.argument("port", server.port()))
}

fn over_cluster(server: &HostileServer) -> CacheRegion {
    let nodes = [format!("127.0.0.1:{}", server.port())];
    region_of("lied to", config("dogpile.cache.redis_cluster").argument("startup_nodes", nodes))
}

fn over_sentinel(server: &HostileServer) -> CacheRegion {
    let sentinels = [format!("127.0.0.1:{}", server.port())];
    region_of("lied to", config("dogpile.cache.redis_sentinel").argument("sentinels", sentinels))
}

/// Returns the value of `key`, or the text of the error. It must arrive in time and contain no secret.
fn get(region: &CacheRegion, key: &str) -> Result<Option<String>, String> {
    let begun = Instant::now();
    let result = region.get::<String>(key).map_err(|error| told(&error));
    assert!(begun.elapsed() < HANGING, "{result:?} took {:?}", begun.elapsed());
    let text = format!("{result:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("\\u{") && !text.contains("\\0"), "{text}");
    result
}

fn is_right(region: &CacheRegion) {
    for number in 0..20 {
        let key = format!("key {number}");
        assert_eq!(get(region, &key), Ok(Some(HostileServer::value(&key))));
    }
}

/// A server sends `reply` as the reply to `command`. A new region fails, and is right as soon as the server is.
fn fails_meanwhile(
    connect: fn(&HostileServer) -> CacheRegion,
    command: &'static str,
    replies: &[&'static [u8]],
) {
    for reply in replies {
        let (server, shown) = (HostileServer::start(), reply.escape_ascii());
        let region = connect(&server);
        server.misbehave(Misbehavior::Answer(command, reply));
        assert!(get(&region, "key").is_err(), "{command}: {shown}");
        server.misbehave(Misbehavior::None);
        is_right(&region);
    }
}

/// Replies of types that none of the commands has.
const ODD: [&[u8]; 17] = [
    b":5\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"~0\r\n",
    b"+QUEUED\r\n",
    b"+\r\n",
    b"$2\r\nOK\r\n",
    b"*1\r\n>1\r\n:1\r\n",
    b"|1\r\n+a\r\n+b\r\n",
    b"=3\r\ntxt\r\n",
    b"!11\r\nERR hunter2\r\n",
    b".\r\n",
    b"$?\r\n;1\r\na\r\n;0\r\n",
    b"*?\r\n.\r\n",
    b"-ERR \x1b[31m hunter2\r\n",
];

#[test]
fn odd_reply_to_a_login_is_an_error() {
    bounded(|| fails_meanwhile(single, "AUTH", &ODD));
}

#[test]
fn odd_reply_to_the_selection_of_a_database_is_an_error() {
    bounded(|| fails_meanwhile(single, "SELECT", &ODD));
}

#[test]
fn odd_reply_instead_of_a_slot_map_is_an_error() {
    bounded(|| fails_meanwhile(over_cluster, "CLUSTER", &ODD));
}

#[test]
fn odd_reply_instead_of_a_masters_address_is_an_error() {
    bounded(|| fails_meanwhile(over_sentinel, "SENTINEL", &ODD));
}

#[test]
fn invalid_slot_map_is_an_error() {
    bounded(|| {
        let maps: [&[u8]; 13] = [
            b"*1\r\n*3\r\n:-1\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
            b"*1\r\n*3\r\n:9\r\n:5\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:0\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:99999\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$17\r\nredis://u:hunter2\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$3\r\na\0b\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$2\r\n\xff\xfe\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$5\r\n\x1b[31m\r\n:1\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*0\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n$-1\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ];
        fails_meanwhile(over_cluster, "CLUSTER", &maps);
    });
}

/// A cluster that is being created has unassigned slots. Later calls request the slot map again.
#[test]
fn slot_that_is_assigned_later_is_found() {
    bounded(|| {
        let server = HostileServer::start();
        let region = over_cluster(&server);
        server.misbehave(Misbehavior::Answer(
            "CLUSTER",
            b"*1\r\n*3\r\n:0\r\n:0\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
        ));
        for _ in 0..2 {
            let error = get(&region, "key").unwrap_err();
            assert!(error.contains("its slot 12539 is unassigned; retry later"), "{error}");
        }
        // One map when it connects, and a newer one for each call.
        assert_eq!(server.received("CLUSTER"), 3);
        server.misbehave(Misbehavior::None);
        is_right(&region);
        assert_eq!(server.received("CLUSTER"), 4);
    });
}

#[test]
fn invalid_address_of_a_master_is_an_error() {
    bounded(|| {
        let masters: [&[u8]; 8] = [
            b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n",
            b"*2\r\n$9\r\n127.0.0.1\r\n$2\r\n-1\r\n",
            b"*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n",
            b"*2\r\n$0\r\n\r\n$1\r\n1\r\n",
            b"*2\r\n$17\r\nredis://u:hunter2\r\n$1\r\n1\r\n",
            b"*2\r\n$3\r\na\0b\r\n$1\r\n1\r\n",
            b"*1\r\n$9\r\n127.0.0.1\r\n",
            b"*3\r\n:1\r\n:2\r\n:3\r\n",
        ];
        fails_meanwhile(over_sentinel, "SENTINEL", &masters);
    });
}

#[test]
fn redirection_that_leads_nowhere_is_an_error() {
    bounded(|| {
        let redirections: [&[u8]; 10] = [
            b"-MOVED\r\n",
            b"-MOVED 1\r\n",
            b"-MOVED x y z\r\n",
            b"-MOVED 99999 127.0.0.1:99999\r\n",
            b"-MOVED 1 127.0.0.1:1\r\n",
            b"-MOVED 1 :0\r\n",
            b"-MOVED 1 user:hunter2@h:1\r\n",
            b"-ASK\r\n",
            b"-ASK 1 127.0.0.1:1\r\n",
            b"-ASK 1 a\0b:1\r\n",
        ];
        fails_meanwhile(over_cluster, "GET", &redirections);
    });
}

/// A server rejects a command with any code, and its connections are kept.
#[test]
fn error_reply_is_reported_by_its_code() {
    bounded(|| {
        let replies: [(&str, &[u8]); 12] = [
            ("LOADING", b"-LOADING hunter2\r\n"),
            ("READONLY", b"-READONLY hunter2\r\n"),
            ("MASTERDOWN", b"-MASTERDOWN hunter2\r\n"),
            ("EXECABORT", b"-EXECABORT hunter2\r\n"),
            ("NOSCRIPT", b"-NOSCRIPT hunter2\r\n"),
            ("NOAUTH", b"-NOAUTH hunter2\r\n"),
            ("NOPERM", b"-NOPERM hunter2\r\n"),
            ("OOM", b"-OOM hunter2\r\n"),
            ("BUSY", b"-BUSY hunter2\r\n"),
            ("MISCONF", b"-MISCONF hunter2\r\n"),
            ("CROSSSLOT", b"!17\r\nCROSSSLOT hunter2\r\n"),
            ("an error without a code", b"-hunter2\r\n"),
        ];
        let server = HostileServer::start();
        let region = single(&server);
        for (code, reply) in replies {
            server.misbehave(Misbehavior::Answer("GET", reply));
            let error = get(&region, "key").unwrap_err();
            assert!(error.contains(&format!("it replied {code}")), "{code}: {error}");
            server.misbehave(Misbehavior::None);
            is_right(&region);
        }
        // The value is one that this backend cannot read, so that it is a miss.
        server.misbehave(Misbehavior::Answer("GET", b"-WRONGTYPE hunter2\r\n"));
        assert_eq!(get(&region, "key"), Ok(None));
        assert_eq!(server.connections(), 1);
    });
}

/// The reply to the `ECHO` that ends a batch shows whether a reply is missing.
#[test]
fn batch_without_its_last_reply_is_an_error() {
    bounded(|| {
        let server = HostileServer::start();
        let region = over_cluster(&server);
        let keys = ["a", "b", "c"];
        for wrong in [&b"$1\r\nx\r\n"[..], b"$-1\r\n", b":1\r\n"] {
            server.misbehave(Misbehavior::Answer("ECHO", wrong));
            assert!(region.get_multi::<String>(&keys).is_err(), "{}", wrong.escape_ascii());
            server.misbehave(Misbehavior::None);
            let found = region.get_multi::<String>(&keys).unwrap();
            assert_eq!(found, keys.map(|key| Some(HostileServer::value(key))));
        }
        // A server without this command rejects it, and every reply is at its place.
        server.misbehave(Misbehavior::Answer("ECHO", b"-ERR unknown command\r\n"));
        for _ in 0..2 {
            let found = region.get_multi::<String>(&keys).unwrap();
            assert_eq!(found, keys.map(|key| Some(HostileServer::value(key))));
        }
        assert_eq!(server.received("ECHO"), 7);
    });
}
