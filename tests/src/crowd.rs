//! Threads of several processes that all ask for one key.

use serde_json::{Value, json};

use crate::peer::Peer;

/// Starts four processes whose regions are configured so, has eight threads of each ask for one key, and sees that one
/// of all creates, and that all get what it made.
///
/// # Panics
/// If that is not so.
pub fn one_of_all_creates(configuration: &Value) {
    let processes: Vec<Peer> = (0..4).map(|_| Peer::worker(configuration)).collect();
    let crowd = json!({ "do": "crowd", "key": "key", "threads": 8, "value": 7 });

    // The first creates, and goes on creating while the others ask.
    assert_eq!(processes[0].ask(&crowd), json!({ "creating": "key" }));
    processes[1..].iter().for_each(|process| process.tell(&crowd));
    processes[0].tell(&json!({}));

    let answers: Vec<Value> = processes.iter().map(Peer::hear).collect();
    let created: Vec<_> = answers.iter().map(|answer| answer["created"].clone()).collect();
    assert_eq!(created, [1, 0, 0, 0], "over {configuration}");
    assert!(answers.iter().all(|answer| answer["values"] == json!(vec![7; 8])), "{answers:?}");
}
