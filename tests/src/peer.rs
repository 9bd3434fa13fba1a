//! Processes over the same servers and files as the test: Python's with the real dogpile.cache, and Rust's.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::threads::LIMIT;

/// A running process that is told what to do: `tests/python/peer.py` and [`worker`](crate::worker) say what can be
/// asked. It ends with this value.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    asks: Mutex<ChildStdin>,
    /// A line each, read by a thread that ends with the process.
    answers: Mutex<Receiver<String>>,
}

impl Peer {
    /// A Python process whose region is configured as `configuration` says: `backend`, `arguments` and the like.
    ///
    /// # Panics
    /// If it cannot be started or configured.
    pub fn start(python: &Path, configuration: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peer.py");
        Peer::run(Command::new(python).arg(script), configuration)
    }

    /// A Rust process whose region is configured so.
    ///
    /// # Panics
    /// If it cannot be started or configured.
    pub fn worker(configuration: &Value) -> Self {
        let test = env::current_exe().expect("a test knows its binary");
        // Cargo keeps tests one folder below the programs of their package.
        let folder = test.parent().and_then(Path::parent).expect("cargo keeps tests in target/PROFILE/deps");
        Peer::run(&mut Command::new(folder.join("worker")), configuration)
    }

    /// What `command` starts, which must talk as the others do.
    ///
    /// # Panics
    /// If it cannot be started or configured.
    pub fn run(command: &mut Command, configuration: &Value) -> Self {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = process.spawn().expect("the process starts");
        let asks = Mutex::new(process.stdin.take().expect("it is piped"));
        let said = BufReader::new(process.stdout.take().expect("it is piped"));
        let (heard, answers) = channel();
        thread::spawn(move || {
            let mut lines = said.lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| heard.send(line).is_ok()) {}
        });
        let peer = Peer { process, asks, answers: Mutex::new(answers) };
        peer.tell(configuration);
        assert_eq!(peer.hear(), json!({ "ready": true }));
        peer
    }

    /// Sends `command`, whose answer is to be heard.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn tell(&self, command: &Value) {
        writeln!(self.asks.lock(), "{command}").expect("the process listens");
    }

    /// The next answer.
    ///
    /// # Panics
    /// If none comes in time, or it is an error.
    pub fn hear(&self) -> Value {
        let line = self.answers.lock().recv_timeout(LIMIT).expect("the process answers in time");
        let answer: Value = serde_json::from_str(&line).expect("an answer is JSON");
        assert!(answer.get("error").is_none(), "the process said: {answer}");
        answer
    }

    /// Sends `command`, and answers what was said to it.
    ///
    /// # Panics
    /// As [`tell`](Self::tell) and [`hear`](Self::hear) do.
    pub fn ask(&self, command: &Value) -> Value {
        self.tell(command);
        self.hear()
    }

    /// The value of `key` in its region; `None` if it has none.
    ///
    /// # Panics
    /// As [`ask`](Self::ask) does.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.ask(&json!({ "do": "get", "key": key })).get("value").cloned()
    }

    /// Stores `value` through its region.
    ///
    /// # Panics
    /// As [`ask`](Self::ask) does.
    pub fn set(&self, key: &str, value: &Value) {
        self.ask(&json!({ "do": "set", "key": key, "value": value }));
    }

    /// Whether it takes `key` for locked.
    ///
    /// # Panics
    /// As [`ask`](Self::ask) does.
    pub fn key_is_locked(&self, key: &str) -> bool {
        self.ask(&json!({ "do": "key_is_locked", "key": key }))["value"] == json!(true)
    }

    /// Has it ask for `key`, which is made of `value` if it is missing; returns while its creator is at work.
    ///
    /// # Panics
    /// As [`ask`](Self::ask) does, or if the creator is not called.
    pub fn begin_to_create(&self, key: &str, value: &Value) {
        let begun = self.ask(&json!({ "do": "get_or_create", "key": key, "value": value }));
        assert_eq!(begun, json!({ "creating": key }));
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// If it has ended and was waited for.
    pub fn kill(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::KILL).expect("it is there until it is waited for");
    }

    /// Lets the creator at work end; answers what the process got.
    ///
    /// # Panics
    /// As [`ask`](Self::ask) does.
    pub fn end_creation(&self) -> Value {
        self.ask(&json!({}))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::python;

    #[test]
    fn a_peer_keeps_values_and_creates_when_it_is_told_to() {
        let Ok(python) = python() else { return };
        let peer = Peer::start(&python, &json!({ "backend": "dogpile.cache.memory", "arguments": {} }));
        assert_eq!(peer.get("key"), None);
        peer.set("key", &json!(["a", 1]));
        assert_eq!(peer.get("key"), Some(json!(["a", 1])));
        peer.begin_to_create("other", &json!(7));
        assert_eq!(peer.end_creation(), json!({ "value": 7, "created": true }));
    }
}
