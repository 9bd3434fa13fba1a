//! What goes wrong with a server, and that it is over afterwards.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use dogpile::RegionConfig;
use dogpile_tests::errors::told;
use dogpile_tests::load::{Failure, Health, THREADS, under_load};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::relay::Relay;
use dogpile_tests::threads::{LIMIT, bounded, together, until};

use super::{config, region, say, server};

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
        for key in ["foreign", "list"] {
            assert_eq!(region.get_or_create(key, || 5).unwrap(), 5);
            assert_eq!(region.get(key).unwrap(), Some(5));
        }
    });
}

#[test]
fn a_full_server_is_an_error_and_still_reads() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        region.set("key", 1).unwrap();
        assert!(say(server.port(), "CONFIG SET maxmemory 1").starts_with("+OK"));
        assert!(region.set("other", 2).is_err());
        assert_eq!(region.get("key").unwrap(), Some(1));
        say(server.port(), "CONFIG SET maxmemory 0");
        region.set("other", 2).unwrap();
    });
}

#[test]
fn the_lock_of_a_holder_that_died_is_free_after_its_lease() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        // What a killed holder leaves behind: its lock, which nobody renews.
        assert!(say(server.port(), "SET _lockkey gone NX PX 300").starts_with("+OK"));
        assert_eq!(region(&server).get_or_create("key", || 7).unwrap(), 7);
    });
}

#[test]
fn a_creator_that_outlives_its_lease_still_answers_and_takes_nobodys_lock() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region_of("leased", config(&server).argument("lock_timeout", 60.0));
        let port = server.port();
        let made = region.get_or_create("key", || {
            // The lease ended, and another creator began.
            say(port, "SET _lockkey another");
            8
        });
        assert_eq!(made.unwrap(), 8);
        assert!(say(port, "GET _lockkey").contains("another"));
    });
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_no_value() {
    bounded(|| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // Answers each greeting, and of each value only the head.
        std::thread::spawn(move || {
            for mut caller in listener.incoming().flatten() {
                let mut asked = [0; 1024];
                while let Ok(length @ 1..) = caller.read(&mut asked) {
                    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                    if asked.contains("GET") {
                        let _ = caller.write_all(b"$100\r\n{\"ct\": 1.0, \"v\": 2}|");
                        break;
                    }
                    let commands = asked.matches('*').count();
                    let _ = caller.write_all("+OK\r\n".repeat(commands).as_bytes());
                }
            }
        });
        let config = RegionConfig::new("dogpile.cache.redis")
            .argument("host", "127.0.0.1")
            .argument("port", port)
            .argument("socket_timeout", 1.0);
        let region = region_of("broken off", config);
        for _ in 0..3 {
            assert!(region.get::<i32>("key").is_err());
        }
    });
}
