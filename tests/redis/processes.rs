//! Processes that share a server, of which one creates.

use dogpile_tests::peer::Peer;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

use super::server;

#[test]
fn threads_of_several_processes_run_one_creator() {
    bounded(|| {
        let Some(server) = server(&[]) else { return };
        let arguments = json!({ "host": "127.0.0.1", "port": server.port(), "distributed_lock": true });
        let configuration = json!({ "backend": "dogpile.cache.redis", "arguments": arguments });
        let processes: Vec<Peer> = (0..4).map(|_| Peer::worker(&configuration)).collect();
        let crowd = json!({ "do": "crowd", "key": "key", "threads": 8, "value": 7 });

        // The first creates, and goes on creating while the others ask.
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
