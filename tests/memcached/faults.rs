//! Faults of servers. Their keys are misses meanwhile, no value is wrong, and calls succeed afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::CacheRegion;
use dogpile_tests::events::Events;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::peer::Peer;
use dogpile_tests::relay::Relay;
use dogpile_tests::servers::ClosedPort;
use dogpile_tests::threads::{LIMIT, bounded, together, until};
use serde_json::json;

use super::{Impatient, count, impatient, region, say, server};

/// Runs `test` with each backend and a server of its own.
pub(super) fn with_each(test: impl Fn(&Impatient, MemcachedServer) + Send + 'static) {
    bounded(move || {
        for backend in impatient() {
            let server = server();
            eprintln!("with {}", backend.0);
            test(&backend, server);
        }
    });
}

/// A stored value: its key, and a number.
type Stored = (String, usize);

/// Threads use `region` while `scene` disturbs its servers. `scene` gets a function that waits for a few rounds. No
/// call except `delete` fails, and no value is another key's or was never stored.
pub(super) fn in_use(region: &CacheRegion, scene: impl FnOnce(&dyn Fn())) {
    const THREADS: usize = 4;
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let few_rounds = || {
        let seen = rounds.load(SeqCst);
        until("the threads go on", || rounds.load(SeqCst) > seen + 10 * THREADS);
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (over, rounds) = (&over, &rounds);
            scope.spawn(move || {
                for round in (0..).take_while(|_| !over.load(SeqCst)) {
                    use_once(region, number, round);
                    rounds.fetch_add(1, SeqCst);
                }
            });
        }
        let _end = Ends(&over);
        few_rounds();
        scene(&few_rounds);
        few_rounds();
    });
}

/// Ends the threads, also if the test fails.
struct Ends<'o>(&'o AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn use_once(region: &CacheRegion, number: usize, round: usize) {
    let check = |key: &String, found: Option<Stored>| {
        assert!(
            found.as_ref().is_none_or(|(under, made)| under == key && *made <= round),
            "{key}: {found:?}"
        );
    };
    let own: Vec<String> = (0..3).map(|key| format!("{key}:of:{number}")).collect();
    let begun = Instant::now();
    region.set(&own[0], (own[0].clone(), round)).unwrap();
    check(&own[0], region.get(&own[0]).unwrap());
    region.set_multi(own.iter().map(|key| (key, (key.clone(), round)))).unwrap();
    let found = region.get_multi(&own).unwrap();
    own.iter().zip(found).for_each(|(key, found)| check(key, found));
    let shared = format!("shared:{}", round % 8);
    let made = region.get_or_create(&shared, || (shared.clone(), 0)).unwrap();
    assert_eq!(made, (shared.clone(), 0));
    if round % 5 == number {
        // A deletion that could not be made is an error.
        let _ = region.delete(&shared);
    }
    // Each call waits a few times for servers with a limit of half a second each.
    assert!(begun.elapsed() < LIMIT / 2);
}

/// Stores a value and finds it, as soon as the servers count as working again.
fn is_well_again(region: &CacheRegion) {
    until("values are kept again", || {
        region.set("again", 1).unwrap();
        region.get("again").unwrap() == Some(1)
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_killed_and_restarted_in_use_causes_only_misses() {
    with_each(|backend, mut server| {
        let region = region(backend, &[server.port()]);
        in_use(&region, |few_rounds| {
            server.kill();
            few_rounds();
            server.start_again();
        });
        is_well_again(&region);
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_frozen_and_continued_in_use_causes_only_misses() {
    with_each(|backend, server| {
        let region = region(backend, &[server.port()]);
        in_use(&region, |few_rounds| {
            server.process().stop();
            thread::sleep(Duration::from_millis(600));
            server.process().go_on();
            few_rounds();
        });
        is_well_again(&region);
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_flushed_in_use_causes_only_misses() {
    with_each(|backend, server| {
        let region = region(backend, &[server.port()]);
        in_use(&region, |few_rounds| {
            for _ in 0..20 {
                assert_eq!(say(server.port(), "flush_all"), "OK\r\n");
                few_rounds();
            }
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn all_servers_down_cause_only_misses() {
    bounded(|| {
        for backend in impatient() {
            let mut servers = (0..3).map(|_| server()).collect::<Vec<_>>();
            let ports: Vec<u16> = servers.iter().map(MemcachedServer::port).collect();
            let region = region(&backend, &ports);
            let keys: Vec<String> = (0..100).map(|number| format!("key:{number}")).collect();
            region.set_multi(keys.iter().map(|key| (key, 1))).unwrap();
            servers.iter_mut().for_each(MemcachedServer::kill);

            assert_eq!(region.get_multi::<i32>(&keys).unwrap(), vec![None; 100]);
            region.set_multi(keys.iter().map(|key| (key, 2))).unwrap();
            for made in 3..6 {
                assert_eq!(region.get_or_create("key:0", || made).unwrap(), made);
            }
            assert!(region.delete("key:0").unwrap_err().is_transient());

            servers.iter_mut().for_each(MemcachedServer::start_again);
            until("every server keeps its keys again", || {
                region.set_multi(keys.iter().map(|key| (key, 7))).unwrap();
                region.get_multi::<i32>(&keys).unwrap() == vec![Some(7); 100]
            });
        }
    });
}

/// Fails unless one of the `messages` with this `part` was logged in each ten seconds since `begun`.
fn assert_limited(messages: &[String], part: &str, begun: Instant) {
    let logged = messages.iter().filter(|message| message.contains(part)).count();
    let most = begun.elapsed().as_secs() as usize / 10 + 1;
    assert!((1..=most).contains(&logged), "{part:?} was logged {logged} times: {messages:#?}");
}

/// Each creation goes on without a lock, but not each one logs it.
#[test]
fn server_that_is_down_does_not_fill_the_log() {
    bounded(|| {
        for backend in impatient() {
            let (closed, begun) = (ClosedPort::new(), Instant::now());
            let region = region(&backend, &[closed.port()]);
            let events = Events::with("message", format!("127.0.0.1:{}", closed.port()));
            for number in 0..100 {
                assert_eq!(region.get_or_create(&format!("key:{number}"), || number).unwrap(), number);
            }
            let messages = events.messages();
            let (locks, failures): (Vec<_>, Vec<_>) =
                messages.into_iter().partition(|message| message.contains("without a lock"));
            assert_limited(&locks, "without a lock", begun);
            assert_limited(&failures, "memcached server", begun);
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn skipped_values_do_not_fill_the_log() {
    bounded(|| {
        for (limit, (backend, mut more)) in (4_321..).zip(impatient()) {
            let (server, begun) = (server(), Instant::now());
            more["skip_oversized"] = true.into();
            more["max_value_bytes"] = limit.into();
            let region = region(&(backend, more), &[server.port()]);
            let events = Events::with("message", format!("the limit is {limit} bytes"));
            for number in 0..100 {
                region.set(&format!("key:{number}"), "x".repeat(10_000)).unwrap();
            }
            assert_limited(&events.messages(), "skipped an oversized value", begun);
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn keys_of_other_servers_are_found_while_one_is_down() {
    bounded(|| {
        for (name, mut more) in impatient() {
            let mut servers = (0..3).map(|_| server()).collect::<Vec<_>>();
            let ports: Vec<u16> = servers.iter().map(MemcachedServer::port).collect();
            if name == "dogpile.cache.pymemcache" {
                // It is tried again a few times before its keys are others'.
                more["hashclient_retry_attempts"] = json!(0);
            }
            let region = region(&(name, more), &ports);
            let keys: Vec<String> = (0..100).map(|number| format!("key:{number}")).collect();
            region.set_multi(keys.iter().map(|key| (key, 1))).unwrap();
            servers[1].kill();
            let found = region.get_multi::<i32>(&keys).unwrap();
            let missing = found.iter().filter(|value| value.is_none()).count();
            assert!((10..60).contains(&missing), "{name}: {missing} keys are missing");
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_replying_byte_by_byte_is_abandoned_at_the_deadline() {
    with_each(|backend, server| {
        let relay = Relay::before(server.port());
        let region = region(backend, &[relay.port()]);
        let keys: Vec<String> = (0..50).map(|number| format!("key:{number}")).collect();
        region.set_multi(keys.iter().map(|key| (key, key.clone()))).unwrap();
        relay.drip(true);
        let begun = Instant::now();
        // Fifty values would take a minute, although each byte comes in time.
        let found = region.get_multi::<String>(&keys).unwrap();
        assert!(begun.elapsed() < LIMIT / 3);
        keys.iter()
            .zip(&found)
            .for_each(|(key, found)| assert!(found.as_ref().is_none_or(|found| found == key)));
        assert!(found.contains(&None));
        relay.drip(false);
        is_well_again(&region);
        assert_eq!(region.get("key:0").unwrap(), Some("key:0".to_owned()));
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn pooled_connection_cut_in_mid_reply_is_retried_by_the_call() {
    with_each(|backend, server| {
        let relay = Relay::before(server.port());
        let region = region(backend, &[relay.port()]);
        region.set("key", "a value of some length".to_owned()).unwrap();
        for bytes in 0..60 {
            relay.cut_next_answer(bytes);
            assert_eq!(region.get::<String>("key").unwrap().as_deref(), Some("a value of some length"));
            assert_eq!(relay.cuts(), bytes + 1);
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn connections_cut_in_use_cause_only_misses() {
    with_each(|backend, server| {
        let relay = Relay::before(server.port());
        let region = region(backend, &[relay.port()]);
        in_use(&region, |_| {
            for bytes in 0..40 {
                relay.cut_next_answer(bytes);
                until("a reply is cut", || relay.cuts() > bytes);
            }
        });
        is_well_again(&region);
    });
}

/// Starts a process with a region like that of [`region`].
fn worker((backend, more): &Impatient, server: &MemcachedServer) -> Peer {
    let mut arguments = json!({ "url": server.url(), "distributed_lock": true });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Peer::worker(&json!({ "backend": backend, "arguments": arguments }))
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn evicted_lock_is_acquired_by_the_next_and_kept_by_it() {
    with_each(|backend, server| {
        let (slow, next) = (worker(backend, &server), worker(backend, &server));
        slow.begin_to_create("key", &json!("slow"));
        assert_eq!(say(server.port(), "delete _lockkey"), "DELETED\r\n");
        next.begin_to_create("key", &json!("next"));
        assert_eq!(slow.end_creation(), json!({ "value": "slow", "created": true }));
        assert!(say(server.port(), "get _lockkey").starts_with("VALUE"));
        assert_eq!(next.end_creation(), json!({ "value": "next", "created": true }));
        assert!(!next.key_is_locked("key"));
        assert_eq!(slow.get("key"), Some(json!("next")));
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn value_evicted_before_waiters_read_it_is_created_again() {
    with_each(|backend, server| {
        let (region, other) = (region(backend, &[server.port()]), worker(backend, &server));
        other.ask(&json!({ "do": "acquire", "key": "key" }));
        let created = AtomicUsize::new(0);
        let create = || {
            created.fetch_add(1, SeqCst);
            7
        };
        thread::scope(|scope| {
            let waiting = scope.spawn(|| together(4, |_| region.get_or_create("key", create).unwrap()));
            // A caller that came later would find the value that is set and deleted below.
            let all_wait =
                || region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 3);
            until("one of them leads, and the others wait", all_wait);
            until("they wait for the lock", || count(server.port(), "cmd_set") >= 2);
            other.set("key", &json!(1));
            say(server.port(), "delete key");
            other.ask(&json!({ "do": "release", "key": "key" }));
            assert_eq!(waiting.join().unwrap(), [7; 4]);
        });
        assert_eq!(created.load(SeqCst), 1);
    });
}
