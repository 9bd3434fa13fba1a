//! Faults of servers and connections: calls fail only while a fault lasts.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::load::{Failure, Health, THREADS, under_load};
use dogpile_tests::peer::Peer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::relay::Relay;
use dogpile_tests::threads::{LIMIT, bounded, together, until};
use serde_json::{Value, json};

use super::{config, region, say, server};

/// Starts a process with a region like that of [`config`], plus `more` arguments.
fn worker(server: &RedisServer, more: &Value) -> Peer {
    let mut arguments = json!({ "host": "127.0.0.1", "port": server.port(), "distributed_lock": true });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::worker(&json!({ "backend": "dogpile.cache.redis", "arguments": arguments }))
}

/// Returns the number of connections to the server, except the one that asks.
fn connections(server: &RedisServer) -> usize {
    say(server.port(), "CLIENT LIST").matches("id=").count() - 1
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn restart_between_calls_fails_no_call() {
    bounded(|| {
        let mut server = server(&[]);
        let region = region(&server);
        together(4, |number| region.set(&format!("key {number}"), number).unwrap());
        server.start_again();
        together(4, |number| assert_eq!(region.get::<usize>(&format!("key {number}")).unwrap(), None));
        region.set("key", 1).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn killed_server_fails_calls_only_until_it_is_back() {
    bounded(|| {
        let mut server = server(&[]);
        let region = region(&server);
        let failures = under_load(&region, |load| {
            server.kill();
            load.wait_until_calls_fail();
            server.start_again();
        });
        assert!(failures.iter().all(|failure| failure.began != Health::WellAgain), "{failures:?}");
        assert!(failures.iter().all(|failure| failure.ended != Health::Well), "{failures:?}");
        let in_flight = failures.iter().filter(|failure| failure.began == Health::Well).count();
        assert!(in_flight <= THREADS, "{failures:?}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn restart_without_retries_fails_only_calls_on_old_connections() {
    bounded(|| {
        let mut server = server(&[]);
        let region = region_of("once", config(&server).argument("retry_on_reconnect", false));
        together(4, |number| region.set(&format!("key {number}"), number).unwrap());
        let kept = connections(&server);
        server.start_again();
        let failed = (0..50).filter(|_| region.get::<usize>("key").is_err()).count();
        assert!((1..=kept).contains(&failed), "{failed} calls failed, and the pool had {kept} connections");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn frozen_server_times_out_and_late_replies_are_discarded() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        let failures = under_load(&region, |load| {
            server.process().stop();
            load.wait_until_calls_fail();
            server.process().go_on();
        });
        assert!(failures.iter().all(|failure| failure.began != Health::WellAgain), "{failures:?}");
        let in_time =
            |failure: &Failure| failure.error.contains("in time") || failure.error.contains("in use");
        assert!(failures.iter().all(in_time), "{failures:?}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn timeout_applies_to_a_batch_as_a_whole() {
    bounded(|| {
        let server = server(&["--requirepass", "0123"]);
        // The batch has a hundred replies, and the login has three.
        let expiring = || config(&server).argument("redis_expiration_time", 600);
        let region = region_of("expiring", expiring().argument("password", "0123").argument("db", 1));
        let values: Vec<(String, i32)> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(values.clone()).unwrap();
        server.process().stop();
        let begun = Instant::now();
        region.set_multi(values.clone()).unwrap_err();
        region.set_multi(values.clone()).unwrap_err();
        // A timeout per reply would take 100 seconds or more.
        assert!(begun.elapsed() < LIMIT / 2);
        server.process().go_on();
        region.set_multi(values).unwrap();
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn connection_reset_in_mid_reply_changes_no_value() {
    bounded(|| {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        let region = region_of("relayed", config(&server).argument("port", relay.port()));
        let failures = under_load(&region, |load| {
            for bytes in 0..60 {
                relay.cut_next_answer(bytes);
                until("a reply is cut", || relay.cuts() > bytes);
            }
            load.wait_for_rounds();
        });
        // A call may fail if its retry meets the next cut, or if it must not be sent twice.
        assert!(failures.len() <= relay.cuts(), "{failures:?}");
        assert!(failures.iter().all(|failure| failure.began != Health::WellAgain), "{failures:?}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn pooled_connection_cut_in_mid_reply_is_retried() {
    bounded(|| {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        let region = region_of("relayed", config(&server).argument("port", relay.port()));
        region.set("key", "a value of some length".to_owned()).unwrap();
        for bytes in 0..60 {
            relay.cut_next_answer(bytes);
            assert_eq!(region.get::<String>("key").unwrap().as_deref(), Some("a value of some length"));
            assert_eq!(relay.cuts(), bytes + 1);
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn call_on_an_exhausted_pool_times_out() {
    bounded(|| {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        let config = config(&server).argument("port", relay.port()).argument("pool_size", 1);
        let region = region_of("small", config);
        region.set("key", "long".repeat(100)).unwrap();
        relay.drip(true);
        thread::scope(|scope| {
            let turns = relay.turns();
            let slow = scope.spawn(|| region.get::<String>("key"));
            until("the connection is in use", || relay.turns() > turns);
            let error = told(&region.get::<String>("key").unwrap_err());
            assert!(error.contains("all 1 were in use for 1s; raise \"pool_size\""), "{error}");
            // The slow reply takes eight seconds, and an exchange only one.
            let error = told(&slow.join().unwrap().unwrap_err());
            assert!(error.contains("it did not reply in time"), "{error}");
            relay.drip(false);
        });
        assert_eq!(region.get("key").unwrap(), Some("long".repeat(100)));
        region.set("key", 1).unwrap();
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn foreign_data_is_a_miss_and_replaced() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        say(server.port(), "SET foreign nonsense");
        say(server.port(), "LPUSH list 1 2 3");
        let keys = ["foreign", "list"];
        assert_eq!(region.get_multi::<i32>(&keys).unwrap(), [None, None]);
        for key in keys {
            assert_eq!(region.get_or_create(key, || 5).unwrap(), 5);
            assert_eq!(region.get(key).unwrap(), Some(5));
        }
        assert_eq!(connections(&server), 1);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn lock_key_of_another_type_is_an_error_until_deleted() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        say(server.port(), "LPUSH _lockkey 1");
        let error = told(&region.get_or_create("key", || 1).unwrap_err());
        assert!(error.contains("rejected the command: it replied WRONGTYPE"), "{error}");
        assert!(region.key_is_locked("key").unwrap());
        say(server.port(), "DEL _lockkey");
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn full_server_rejects_writes_and_serves_reads() {
    bounded(|| {
        let server = server(&[]);
        let regions =
            [region(&server), region_of("expiring", config(&server).argument("redis_expiration_time", 60))];
        let both = [("a", 2), ("b", 2)];
        for region in &regions {
            region.set("key", 1).unwrap();
            assert!(say(server.port(), "CONFIG SET maxmemory 1").starts_with("+OK"));
            let errors = [
                region.set("other", 2).unwrap_err(),
                region.set_multi(both).unwrap_err(),
                region.get_or_create("missing", || 2).unwrap_err(),
            ];
            let full = "is full: it replied OOM; raise its maxmemory or set an eviction policy";
            assert!(errors.iter().all(|error| told(error).contains(full)), "{errors:?}");
            assert_eq!(region.get("key").unwrap(), Some(1));
            say(server.port(), "CONFIG SET maxmemory 0");
            region.set_multi(both).unwrap();
            assert_eq!(region.get_or_create("missing", || 3).unwrap(), 3);
            region.delete("missing").unwrap();
        }
        // An error reply closes no connection. The release of a lock in the background may have opened one more.
        assert!(connections(&server) <= 4);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn lock_of_a_killed_holder_expires_with_its_lease() {
    bounded(|| {
        let server = server(&[]);
        let lease = Duration::from_secs(2);
        let holder = worker(&server, &json!({ "lock_timeout": lease.as_secs_f64() }));
        holder.begin_to_create("key", &json!(1));
        holder.kill();
        let region = region(&server);
        assert!(region.key_is_locked("key").unwrap());
        let (began, beginning) = channel();
        thread::scope(|scope| {
            let next =
                scope.spawn(|| region.get_or_create("key", || began.send(()).map(|()| 7).unwrap()).unwrap());
            beginning
                .recv_timeout(lease + Duration::from_secs(1))
                .expect("the next creator should begin after the lease");
            assert_eq!(next.join().unwrap(), 7);
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn creator_beyond_its_lease_returns_and_keeps_the_next_lock() {
    bounded(|| {
        let server = server(&[]);
        let slow = worker(&server, &json!({ "lock_timeout": 0.3 }));
        let next = worker(&server, &json!({ "lock_timeout": 60.0 }));
        slow.begin_to_create("key", &json!("slow"));
        next.begin_to_create("key", &json!("next"));
        let lock = say(server.port(), "GET _lockkey");
        assert_eq!(slow.end_creation(), json!({ "value": "slow", "created": true }));
        assert_eq!(say(server.port(), "GET _lockkey"), lock);
        assert_eq!(next.end_creation(), json!({ "value": "next", "created": true }));
        assert_eq!(say(server.port(), "EXISTS _lockkey"), ":0\r\n");
        assert_eq!(slow.get("key"), Some(json!("next")));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn oversized_foreign_value_is_a_miss_and_replaced() {
    bounded(|| {
        let server = server(&[]);
        // The timeout bounds the exchange, and 64 MiB take a while on a busy machine.
        let region = region_of("large", config(&server).argument("socket_timeout", 20.0));
        say(server.port(), &format!("SETRANGE key {} x", 64 << 20));
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert_eq!(region.get_or_create("key", || 5).unwrap(), 5);
        assert_eq!(region.get_multi(&["key", "other"]).unwrap(), [Some(5), None]);
        assert_eq!(connections(&server), 1);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn reply_larger_than_memory_is_an_error() {
    bounded(|| {
        let heads =
            ["$1000000000000000\r\n", "*1000000000000\r\n", "*2000000000\r\n$1\r\na\r\n", "%4000000000\r\n"];
        for head in heads {
            let region = region_over_replies(head);
            assert!(region.get::<i32>("key").is_err(), "{head:?}");
            assert!(region.get_multi::<i32>(&["key", "other"]).is_err(), "{head:?}");
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn reply_with_a_wrong_number_of_values_is_an_error() {
    bounded(|| {
        for reply in ["*1\r\n$-1\r\n", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "*0\r\n"] {
            let error = told(&region_over_replies(reply).get_multi::<i32>(&["a", "b"]).unwrap_err());
            assert!(error.contains("values for 2 keys"), "{error}");
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn truncated_reply_is_an_error() {
    bounded(|| {
        let region = region_over_replies("$100\r\n{\"ct\": 1.0, \"v\": 2}|");
        for _ in 0..3 {
            assert!(region.get::<i32>("key").is_err());
        }
    });
}

/// Returns a region over a server that sends only `reply` to each `GET` and `MGET`.
fn region_over_replies(reply: &'static str) -> CacheRegion {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut caller in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 1024];
                while let Ok(length @ 1..) = caller.read(&mut request) {
                    let is_get = request[..length].windows(3).any(|word| word == b"GET");
                    let reply = if is_get { reply } else { "+OK\r\n" };
                    if caller.write_all(reply.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let config = RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port)
        .argument("socket_timeout", 0.3);
    region_of("over replies", config)
}
