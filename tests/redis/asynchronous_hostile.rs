//! Servers that send anything but the reply to asynchronous calls that share a connection, and processes that fork.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::RegionConfig;
use dogpile_tests::certificates::Certificates;
use dogpile_tests::errors::told;
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::threads::bounded;
use serde_json::json;

use super::asynchronous::{all, runtime, shared};
use super::server;

const TIMEOUT: Duration = Duration::from_millis(300);

fn config(port: u16) -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port)
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("async_connections", 1)
}

/// Replies that are never the value of a key.
const NO_VALUES: [Misbehavior; 14] = [
    Misbehavior::Freeze,
    Misbehavior::Drip(b"$1000000\r\naa"),
    Misbehavior::Drip(b"*10000\r\n"),
    Misbehavior::Stream(b"+", &[b'a'; 4096]),
    Misbehavior::Stream(b"$4000000000\r\n", &[b'a'; 4096]),
    Misbehavior::Stream(b"", b">2\r\n+message\r\n+x\r\n"),
    Misbehavior::Nest(1_000_000),
    Misbehavior::Send(b"$9223372036854775807\r\nabc"),
    Misbehavior::Send(b"*1000000000\r\n"),
    Misbehavior::Send(b":5\r\n"),
    Misbehavior::Send(b"+{\"ct\": 1700000000.0, \"v\": 2}|\"x\"\r\n"),
    Misbehavior::Send(b"-\x1b[31mEVIL\r\n"),
    Misbehavior::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Misbehavior::Cut(3),
];

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn hostile_reply_is_an_error_in_time_and_later_ones_are_right() {
    bounded(|| {
        let server = HostileServer::start();
        let region = shared(config(server.port()));
        let get = |key: &str| runtime().block_on(region.get_async::<String>(key));
        for misbehavior in NO_VALUES {
            server.misbehave(misbehavior);
            let begun = Instant::now();
            let text = told(&get("key").unwrap_err());
            assert!(begun.elapsed() < TIMEOUT * 4, "{misbehavior:?} took {:?}", begun.elapsed());
            assert!(text.contains(&format!("127.0.0.1:{}", server.port())), "{misbehavior:?}: {text}");
            assert!(!text.contains(['\x1b', '\r']) && !text.contains("EVIL"), "{misbehavior:?}: {text:?}");
            server.misbehave(Misbehavior::None);
            for number in 0..20 {
                let key = format!("key {number}");
                // What was late may cost further calls, but no call receives another value.
                if let Ok(found) = get(&key) {
                    assert_eq!(found, Some(HostileServer::value(&key)), "{misbehavior:?}");
                }
            }
            assert_eq!(get("key").unwrap(), Some(HostileServer::value("key")), "{misbehavior:?}");
        }
    });
}

/// Push messages are skipped. Those that arrive all the time must not keep the client from looking at the clock.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn flood_of_messages_hides_no_deadline() {
    bounded(|| {
        let server = HostileServer::start();
        let region = shared(config(server.port()).argument("socket_timeout", 1.0));
        let flood: &'static [u8] = b">2\r\n+message\r\n+x\r\n".repeat(1 << 14).leak();
        server.misbehave(Misbehavior::Stream(b"", flood));
        for _ in 0..3 {
            let begun = Instant::now();
            let error = told(&runtime().block_on(region.get_async::<String>("key")).unwrap_err());
            assert!(error.contains("timed out"), "{error}");
            // It takes one exchange, and less than a second one on a busy machine.
            assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn duplicated_reply_reaches_no_later_call() {
    bounded(|| {
        let server = HostileServer::start();
        let region = shared(config(server.port()));
        let get = |key: &str| runtime().block_on(region.get_async::<String>(key));
        server.misbehave(Misbehavior::RepeatLater);
        assert_eq!(get("first").unwrap(), Some(HostileServer::value("first")));
        server.misbehave(Misbehavior::None);
        server.repeat_now();
        for number in 0..20 {
            let key = format!("key {number}");
            assert_eq!(get(&key).unwrap(), Some(HostileServer::value(&key)));
        }
        assert_eq!(server.connections(), 2);
    });
}

/// Starts a server that sends its reply for the key "key 3" twice.
fn stutterer() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || stutter(client));
        }
    });
    port
}

fn stutter(mut client: TcpStream) {
    let (mut unread, mut buffer) = (String::new(), [0; 1 << 16]);
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        unread.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        let mut replies = String::new();
        // A command has two words: "*2", "$3", "GET", "$5", "key 3".
        let mut lines: Vec<&str> = unread.split_inclusive("\r\n").collect();
        while lines.len() >= 5 && lines[4].ends_with("\r\n") {
            let (name, argument) = (lines[2].trim_end(), lines[4].trim_end());
            let value = match name {
                "GET" => format!("{{\"ct\": 1700000000.0, \"v\": 2}}|\"{}\"", HostileServer::value(argument)),
                _ => argument.to_owned(),
            };
            let reply = format!("${}\r\n{value}\r\n", value.len());
            replies.push_str(&reply.repeat(if argument == "key 3" { 2 } else { 1 }));
            lines.drain(..5);
        }
        unread = lines.concat();
        if client.write_all(replies.as_bytes()).is_err() {
            return;
        }
    }
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn duplicated_reply_reaches_no_concurrent_call() {
    bounded(|| {
        let region = shared(config(stutterer()));
        runtime().block_on(async {
            let (mut right, mut failed) = (0, 0);
            for round in 0..40 {
                // Half of the rounds are without the key whose reply is sent twice.
                let outcomes = all(&region, if round % 2 == 0 { 50 } else { 3 }, |region, key| async move {
                    region.get_async::<String>(&key).await.map(|found| (key, found))
                });
                for outcome in outcomes.await {
                    match outcome {
                        Ok((key, found)) => {
                            assert_eq!(found, Some(HostileServer::value(&key)));
                            right += 1;
                        }
                        Err(error) => {
                            let error = told(&error);
                            assert!(error.contains("sent an invalid reply"), "{error}");
                            failed += 1;
                        }
                    }
                }
            }
            assert!(failed > 0 && right > 0, "{right} right and {failed} failed calls");
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn user_without_the_right_to_echo_calls_concurrently() {
    bounded(|| {
        let server = server(&[]);
        server.say(&["ACL", "SETUSER", "plain", "on", ">secret", "~*", "+get", "+set"]);
        let login =
            |config: RegionConfig| config.argument("username", "plain").argument("password", "secret");
        let region = shared(login(config(server.port()).argument("socket_timeout", 5)));
        runtime().block_on(async {
            let set = |region: std::sync::Arc<dogpile::CacheRegion>, key: String| async move {
                region.set_async(&key, key.clone()).await.unwrap();
                region.get_async::<String>(&key).await.unwrap() == Some(key)
            };
            assert!(all(&region, 100, set).await.into_iter().all(|is_right| is_right));
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn calls_share_encrypted_connections() {
    bounded(|| {
        let certificates = Certificates::new();
        let (server, port) = RedisServer::start_encrypted(&certificates).unwrap();
        let (certificate, key) = certificates.client();
        let authority = certificates.authority();
        let options = json!({ "ssl_ca_certs": authority, "ssl_certfile": certificate, "ssl_keyfile": key });
        let encrypted = config(port).argument("socket_timeout", 5).argument("ssl", true);
        let region = shared(encrypted.argument("connection_kwargs", options));
        runtime().block_on(async {
            let large = "v".repeat(1 << 20);
            region.set_async("large", large.clone()).await.unwrap();
            assert_eq!(region.get_async("large").await.unwrap(), Some(large));
            let set = |region: std::sync::Arc<dogpile::CacheRegion>, key: String| async move {
                region.set_async(&key, key.clone()).await.unwrap();
                region.get_async::<String>(&key).await.unwrap() == Some(key)
            };
            assert!(all(&region, 100, set).await.into_iter().all(|is_right| is_right));
        });
        let untrusting = shared(config(port).argument("socket_timeout", 5).argument("ssl", true));
        let error = told(&runtime().block_on(untrusting.get_async::<i32>("key")).unwrap_err());
        assert!(error.contains("cannot open a TLS connection to Redis server 127.0.0.1"), "{error}");
        drop(server);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn forked_child_has_a_runtime_and_connections_of_its_own() {
    bounded(|| {
        let server = server(&[]);
        let program = env!("CARGO_BIN_EXE_asynchronous_fork");
        let ended = Command::new(program).arg(server.port().to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    });
}
