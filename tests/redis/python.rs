//! One cache for Python's dogpile.cache and for us.

use std::process::{Command, Output};

use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::bounded;

use super::{config, region, server};

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
