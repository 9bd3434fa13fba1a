//! Processes that share a server, of which one creates.

use dogpile_tests::crowd::one_of_all_creates;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::refresh::one_process_refreshes;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

use super::server;

fn configuration(server: &RedisServer) -> Value {
    let arguments = json!({ "host": "127.0.0.1", "port": server.port(), "distributed_lock": true });
    json!({ "backend": "dogpile.cache.redis", "arguments": arguments })
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn threads_of_several_processes_run_one_creator() {
    bounded(|| one_of_all_creates(&configuration(&server(&[]))));
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn one_process_refreshes_early_and_the_other_does_not_wait() {
    bounded(|| {
        let server = server(&[]);
        one_process_refreshes(&configuration(&server));
    });
}
