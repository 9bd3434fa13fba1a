//! Processes that share a server, and a process that forks.

use std::env;
use std::path::Path;
use std::process::Command;

use dogpile_tests::certificates::Certificates;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::peer::Peer;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

use super::{BACKENDS, server};

/// A process whose region is over the server at `url`.
fn worker(url: &str, lock_timeout: u32) -> Peer {
    let arguments = json!({ "url": url, "distributed_lock": true, "lock_timeout": lock_timeout });
    Peer::worker(&json!({ "backend": "dogpile.cache.pymemcache", "arguments": arguments }))
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn threads_of_several_processes_run_one_creator() {
    bounded(|| {
        let server = server();
        let processes: Vec<Peer> = (0..4).map(|_| worker(&server.url(), 0)).collect();
        let crowd = json!({ "do": "crowd", "key": "key", "threads": 8, "value": 7 });

        // The first process creates, and continues while the others request the key.
        assert_eq!(processes[0].ask(&crowd), json!({ "creating": "key" }));
        processes[1..].iter().for_each(|process| process.tell(&crowd));
        processes[0].tell(&json!({}));

        let answers: Vec<Value> = processes.iter().map(Peer::hear).collect();
        let created: Vec<_> = answers.iter().map(|answer| answer["created"].clone()).collect();
        assert_eq!(created, [1, 0, 0, 0]);
        assert!(
            answers.iter().all(|answer| answer["values"] == json!([7, 7, 7, 7, 7, 7, 7, 7])),
            "{answers:?}"
        );
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn lock_of_a_killed_holder_is_free_after_its_lease() {
    bounded(|| {
        let server = server();
        let (holder, next) = (worker(&server.url(), 1), worker(&server.url(), 1));
        holder.begin_to_create("key", &json!(1));
        holder.kill();
        assert!(next.key_is_locked("key"));
        next.begin_to_create("key", &json!(2));
        assert_eq!(next.end_creation(), json!({ "value": 2, "created": true }));
        assert!(!next.key_is_locked("key"));
    });
}

/// Forks a process with this configuration, whose parent and child then use the servers at once.
fn fork(configuration: &Value) {
    let test = env::current_exe().unwrap();
    // Cargo keeps tests one folder below the programs of their package.
    let program = test.parent().and_then(Path::parent).unwrap().join("forked");
    let output = Command::new(program).arg(configuration.to_string()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{configuration}: {printed}");
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn forked_child_uses_connections_of_its_own() {
    bounded(|| {
        for backend in BACKENDS {
            let servers = (0..2).map(|_| server()).collect::<Vec<_>>();
            let several: Vec<String> = servers.iter().map(MemcachedServer::url).collect();
            fork(&json!({ "backend": backend, "arguments": { "url": several, "distributed_lock": true } }));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn forked_child_uses_encrypted_connections_of_its_own() {
    bounded(|| {
        let certificates = Certificates::new();
        let server = MemcachedServer::start_encrypted(&certificates).unwrap();
        let tls = json!({ "cafile": certificates.authority() });
        let arguments = json!({ "url": server.url(), "distributed_lock": true, "tls_context": tls });
        fork(&json!({ "backend": "dogpile.cache.pymemcache", "arguments": arguments }));
    });
}
