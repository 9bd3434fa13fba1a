//! One cache for Python's dogpile.cache and for us.

use std::process::{Command, Output};
use std::thread;

use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::{bounded, until};

use super::{config, region, say, server};

const REGION: &str = "
import sys, json
from dogpile.cache import make_region
def region_of(**more):
    return make_region(**more).configure('dogpile.cache.redis', arguments=dict(
        host='127.0.0.1', port=int(sys.argv[1]), distributed_lock=True, thread_local_lock=False))
with_json = dict(serializer=lambda v: json.dumps(v).encode(), deserializer=json.loads)
";

/// What Python prints, or nothing if it is not installed, which is told.
fn run(server: &RedisServer, script: &str) -> Option<String> {
    let python = python().inspect_err(|why| eprintln!("ignored: {why}")).ok()?;
    let port = server.port().to_string();
    let ran = Command::new(python).args(["-c", &format!("{REGION}{script}"), &port]).output().unwrap();
    let Output { status, stdout, stderr } = ran;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Some(String::from_utf8(stdout).unwrap().trim().to_owned())
}

/// Behaviour: `redis-serializer-suite`
#[test]
fn values_in_json_are_read_by_both() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        region.set("ours", vec![1, 2]).unwrap();
        let script = "r = region_of(**with_json); print(r.get('ours')); r.set('theirs', [3, 4])";
        let Some(told) = run(&server, script) else { return };
        assert_eq!(told, "[1, 2]");
        assert_eq!(region.get("theirs").unwrap(), Some(vec![3, 4]));
    });
}

#[test]
fn values_in_pythons_own_pickle_are_read_by_both() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region_of("pickled", config(&server).serializer_named("pickle"));
        region.set("ours", vec![1, 2]).unwrap();
        let Some(told) = run(&server, "r = region_of(); print(r.get('ours')); r.set('theirs', [3, 4])")
        else {
            return;
        };
        assert_eq!(told, "[1, 2]");
        assert_eq!(region.get("theirs").unwrap(), Some(vec![3, 4]));
    });
}

#[test]
fn a_lock_of_ours_keeps_python_out_and_one_of_pythons_keeps_us_out() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        let mutex = region.backend().unwrap().get_mutex("key").unwrap();
        assert!(mutex.acquire(true).unwrap());
        let ask = "m = region_of().backend.get_mutex('key'); print(m.locked(), m.acquire(False))";
        let Some(told) = run(&server, ask) else { return };
        assert_eq!(told, "True False");
        mutex.release().unwrap();
        run(&server, "assert region_of().backend.get_mutex('key').acquire(False)").unwrap();
        assert!(mutex.locked().unwrap());
        assert!(!mutex.acquire(false).unwrap());
    });
}

#[test]
fn python_waits_for_our_creator() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let region = region(&server);
        thread::scope(|scope| {
            let mut waiting = None;
            let made = region.get_or_create("key", || {
                let script = "
r = region_of(**with_json)
r.backend.writer_client.set('asks', 1)
def creator(): raise AssertionError('a second creator')
print(r.get_or_create('key', creator))";
                waiting = Some(scope.spawn(|| run(&server, script)));
                until("python asks", || python().is_err() || say(server.port(), "EXISTS asks").contains('1'));
                11
            });
            assert_eq!(made.unwrap(), 11);
            if let Some(told) = waiting.unwrap().join().unwrap() {
                assert_eq!(told, "11");
            }
        });
    });
}

#[test]
fn we_wait_for_pythons_creator() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        if python().is_err() {
            return;
        }
        let region = region(&server);
        let script = "
import time
r = region_of(**with_json)
client = r.backend.writer_client
def creator():
    client.set('begun', 1)
    while not client.exists('asked'): time.sleep(0.001)
    return 12
print(r.get_or_create('key', creator))";
        thread::scope(|scope| {
            let creating = scope.spawn(|| run(&server, script));
            until("python creates", || say(server.port(), "EXISTS begun").contains('1'));
            // Still held: the lock is Python's, and its creator has not been told to go on.
            assert!(region.key_is_locked("key").unwrap());
            say(server.port(), "SET asked 1");
            assert_eq!(region.get_or_create("key", || -1).unwrap(), 12);
            assert_eq!(creating.join().unwrap().as_deref(), Some("12"));
        });
    });
}
