//! A stampede of several processes on one key.

use serde_json::{Value, json};

use crate::peer::Peer;

/// Checks that a stampede of four processes on one key creates it once.
///
/// Each process has a region with this `configuration`, and eight threads that request the key. All threads must get
/// the one value.
///
/// # Panics
/// Panics if the key is created more than once, or if a thread gets another value.
pub fn one_of_all_creates(configuration: &Value) {
    let processes: Vec<Peer> = (0..4).map(|_| Peer::worker(configuration)).collect();
    let crowd = json!({ "do": "crowd", "key": "key", "threads": 8, "value": 7 });

    // The first process starts to create, and continues while the others request the key.
    assert_eq!(processes[0].ask(&crowd), json!({ "creating": "key" }));
    processes[1..].iter().for_each(|process| process.tell(&crowd));
    processes[0].tell(&json!({}));

    let replies: Vec<Value> = processes.iter().map(Peer::hear).collect();
    let created: Vec<_> = replies.iter().map(|reply| reply["created"].clone()).collect();
    assert_eq!(created, [1, 0, 0, 0], "with {configuration}");
    assert!(replies.iter().all(|reply| reply["values"] == json!(vec![7; 8])), "{replies:?}");
}
