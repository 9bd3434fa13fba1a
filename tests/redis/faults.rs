//! What goes wrong with a server, and that it is over afterwards.

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

/// A process whose region is as that of [`config`], but for `more` arguments.
fn worker(server: &RedisServer, more: &Value) -> Peer {
    let mut arguments = json!({ "host": "127.0.0.1", "port": server.port(), "distributed_lock": true });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::worker(&json!({ "backend": "dogpile.cache.redis", "arguments": arguments }))
}

/// How many connections the server has, but for the one that asks.
fn connections(server: &RedisServer) -> usize {
    say(server.port(), "CLIENT LIST").matches("id=").count() - 1
}

#[test]
fn after_a_restart_no_call_fails() {
    bounded(|| {
        let Some(mut server) = server(&[]) else { return };
        let region = region(&server);
        together(4, |number| region.set(&format!("key {number}"), number).unwrap());
        server.start_again();
        together(4, |number| assert_eq!(region.get::<usize>(&format!("key {number}")).unwrap(), None));
        region.set("key", 1).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[test]
fn a_killed_server_fails_calls_until_it_is_back_and_none_afterwards() {
    bounded(|| {
        let Some(mut server) = server(&[]) else { return };
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

#[test]
fn without_retries_a_restart_fails_the_calls_that_use_old_connections_and_no_others() {
    bounded(|| {
        let Some(mut server) = server(&[]) else { return };
        let region = region_of("once", config(&server).argument("retry_on_reconnect", false));
        together(4, |number| region.set(&format!("key {number}"), number).unwrap());
        let kept = connections(&server);
        server.start_again();
        let failed = (0..50).filter(|_| region.get::<usize>("key").is_err()).count();
        assert!((1..=kept).contains(&failed), "{failed} calls failed, and {kept} connections were kept");
    });
}

#[test]
fn a_server_that_stands_still_fails_every_call_in_time_and_late_answers_reach_nobody() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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

#[test]
fn many_answers_that_do_not_come_are_waited_for_as_long_as_one() {
    bounded(|| {
        let Some(server) = server(&["--requirepass", "0123"]) else { return };
        // A hundred answers, and three to log in.
        let expiring = || config(&server).argument("redis_expiration_time", 600);
        let region = region_of("expiring", expiring().argument("password", "0123").argument("db", 1));
        let values: Vec<(String, i32)> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(values.clone()).unwrap();
        server.process().stop();
        let begun = Instant::now();
        region.set_multi(values.clone()).unwrap_err();
        region.set_multi(values.clone()).unwrap_err();
        // Far from a hundred seconds, and far from two.
        assert!(begun.elapsed() < LIMIT / 2);
        server.process().go_on();
        region.set_multi(values).unwrap();
    });
}

#[test]
fn connections_that_are_reset_in_the_middle_of_an_answer_change_no_value() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let relay = Relay::before(server.port());
        let region = region_of("relayed", config(&server).argument("port", relay.port()));
        let failures = under_load(&region, |load| {
            for bytes in 0..60 {
                relay.cut_next_answer(bytes);
                until("an answer is cut", || relay.cuts() > bytes);
            }
            load.wait_for_rounds();
        });
        // The attempt anew may meet the next cut, and what must not be done twice is not.
        assert!(failures.len() <= relay.cuts(), "{failures:?}");
        assert!(failures.iter().all(|failure| failure.began != Health::WellAgain), "{failures:?}");
    });
}

#[test]
fn a_call_whose_kept_connection_is_reset_is_answered_none_the_less() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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

#[test]
fn who_finds_all_connections_in_use_is_told_so() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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
            assert!(error.contains("all 1 connections were in use for 1s; raise \"pool_size\""), "{error}");
            relay.drip(false);
            assert_eq!(slow.join().unwrap().unwrap(), Some("long".repeat(100)));
        });
        region.set("key", 1).unwrap();
    });
}

#[test]
fn what_is_no_value_is_created_anew() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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

#[test]
fn a_lock_that_is_no_lock_is_an_error_until_it_is_gone() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        say(server.port(), "LPUSH _lockkey 1");
        let error = told(&region.get_or_create("key", || 1).unwrap_err());
        assert!(error.contains("the Redis server refuses the command (WRONGTYPE)"), "{error}");
        assert!(region.key_is_locked("key").unwrap());
        say(server.port(), "DEL _lockkey");
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
    });
}

#[test]
fn a_full_server_is_an_error_and_still_reads() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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
            let full = "the Redis server is full (its maxmemory is reached)";
            assert!(errors.iter().all(|error| told(error).contains(full)), "{errors:?}");
            assert_eq!(region.get("key").unwrap(), Some(1));
            say(server.port(), "CONFIG SET maxmemory 0");
            region.set_multi(both).unwrap();
            assert_eq!(region.get_or_create("missing", || 3).unwrap(), 3);
            region.delete("missing").unwrap();
        }
        // What the server refused has cost no connection; the removal of a lock in the background may have one more.
        assert!(connections(&server) <= 4);
    });
}

#[test]
fn the_lock_of_a_killed_holder_is_free_after_its_lease() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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
            beginning.recv_timeout(lease + Duration::from_secs(1)).expect("the next creator begins");
            assert_eq!(next.join().unwrap(), 7);
        });
    });
}

#[test]
fn a_creator_that_outlives_its_lease_still_answers_and_takes_nobodys_lock() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
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

#[test]
fn what_is_larger_than_any_value_of_ours_is_a_miss_and_replaced() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        say(server.port(), &format!("SETRANGE key {} x", 64 << 20));
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert_eq!(region.get_or_create("key", || 5).unwrap(), 5);
        assert_eq!(region.get_multi(&["key", "other"]).unwrap(), [Some(5), None]);
        assert_eq!(connections(&server), 1);
    });
}

#[test]
fn an_answer_that_says_it_is_larger_than_memory_is_an_error() {
    bounded(|| {
        let heads =
            ["$1000000000000000\r\n", "*1000000000000\r\n", "*2000000000\r\n$1\r\na\r\n", "%4000000000\r\n"];
        for head in heads {
            let region = region_over_answers(head);
            assert!(region.get::<i32>("key").is_err(), "{head:?}");
            assert!(region.get_multi::<i32>(&["key", "other"]).is_err(), "{head:?}");
        }
    });
}

#[test]
fn an_answer_to_more_or_fewer_keys_is_an_error() {
    bounded(|| {
        for answer in ["*1\r\n$-1\r\n", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "*0\r\n"] {
            let error = told(&region_over_answers(answer).get_multi::<i32>(&["a", "b"]).unwrap_err());
            assert!(error.contains("values for 2 keys"), "{error}");
        }
    });
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_no_value() {
    bounded(|| {
        let region = region_over_answers("$100\r\n{\"ct\": 1.0, \"v\": 2}|");
        for _ in 0..3 {
            assert!(region.get::<i32>("key").is_err());
        }
    });
}

/// A region over a server that gives this `answer` to each `GET` and `MGET`, and then no other.
fn region_over_answers(answer: &'static str) -> CacheRegion {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut caller in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut asked = [0; 1024];
                while let Ok(length @ 1..) = caller.read(&mut asked) {
                    let is_get = asked[..length].windows(3).any(|word| word == b"GET");
                    let answer = if is_get { answer } else { "+OK\r\n" };
                    if caller.write_all(answer.as_bytes()).is_err() {
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
    region_of("over answers", config)
}
