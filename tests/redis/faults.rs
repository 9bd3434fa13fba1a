//! What goes wrong with a server, and that it is over afterwards.

use std::io::{Read, Write};
use std::net::TcpListener;

use dogpile::RegionConfig;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together};

use super::{config, region, say, server};

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
fn a_killed_server_is_an_error_until_it_is_back() {
    bounded(|| {
        let Some(mut server) = server(&[]) else { return };
        let region = region(&server);
        region.set("key", 1).unwrap();
        server.kill();
        assert!(region.get::<i32>("key").is_err());
        assert!(region.set("key", 2).is_err());
        server.start_again();
        region.set("key", 3).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(3));
    });
}

#[test]
fn a_server_that_stands_still_is_an_error_and_late_answers_reach_nobody() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        region.set("a", 1).unwrap();
        region.set("b", 2).unwrap();
        server.process().stop();
        let failed = together(4, |_| region.get::<i32>("a").is_err());
        server.process().go_on();
        assert_eq!(failed, [true; 4]);
        assert_eq!(region.get("b").unwrap(), Some(2));
        assert_eq!(region.get("a").unwrap(), Some(1));
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
