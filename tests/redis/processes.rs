//! Processes that share a server, of which one creates.

use dogpile_tests::crowd::one_of_all_creates;
use dogpile_tests::threads::bounded;
use serde_json::json;

use super::server;

#[test]
fn threads_of_several_processes_run_one_creator() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let arguments = json!({ "host": "127.0.0.1", "port": server.port(), "distributed_lock": true });
        let configuration = json!({ "backend": "dogpile.cache.redis", "arguments": arguments });
        one_of_all_creates(&configuration);
    });
}
