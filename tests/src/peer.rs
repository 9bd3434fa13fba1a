//! [`Peer`]: a process over the same servers and files, in Rust or in Python.

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

/// A running process that obeys commands. It ends when the value is dropped.
///
/// `tests/python/peer.py` and [`worker`](crate::worker) document the commands.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    commands: Mutex<ChildStdin>,
    /// The replies, one line each, read by a thread that ends with the process.
    replies: Mutex<Receiver<String>>,
}

impl Peer {
    /// Starts a Python process with a region of this `configuration`: `backend`, `arguments`, and others.
    ///
    /// # Panics
    /// Panics if it cannot be started or configured.
    pub fn start(python: &Path, configuration: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peer.py");
        Peer::run(Command::new(python).arg(script), configuration)
    }

    /// Starts a Rust process with a region of this `configuration`.
    ///
    /// # Panics
    /// Panics if it cannot be started or configured.
    pub fn worker(configuration: &Value) -> Self {
        let test = env::current_exe().expect("a test knows its binary");
        // Cargo keeps tests one folder below the programs of their package.
        let folder = test.parent().and_then(Path::parent).expect("cargo keeps tests in target/PROFILE/deps");
        Peer::run(&mut Command::new(folder.join("worker")), configuration)
    }

    /// Starts the process of `command`, which must understand the same commands.
    ///
    /// # Panics
    /// Panics if it cannot be started or configured.
    pub fn run(command: &mut Command, configuration: &Value) -> Self {
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = process.spawn().expect("the process starts");
        let commands = Mutex::new(process.stdin.take().expect("it is piped"));
        let said = BufReader::new(process.stdout.take().expect("it is piped"));
        let (heard, replies) = channel();
        thread::spawn(move || {
            let mut lines = said.lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| heard.send(line).is_ok()) {}
        });
        let peer = Peer { process, commands, replies: Mutex::new(replies) };
        peer.tell(configuration);
        assert_eq!(peer.hear(), json!({ "ready": true }));
        peer
    }

    /// Sends `command` without waiting for the reply. Receive the reply with [`hear`](Self::hear).
    ///
    /// # Panics
    /// Panics if the process has ended.
    pub fn tell(&self, command: &Value) {
        writeln!(self.commands.lock(), "{command}").expect("the process listens");
    }

    /// Receives the next reply.
    ///
    /// # Panics
    /// Panics if no reply arrives in time, or if it is an error.
    pub fn hear(&self) -> Value {
        let line = self.replies.lock().recv_timeout(LIMIT).expect("the process replies in time");
        let reply: Value = serde_json::from_str(&line).expect("a reply is JSON");
        assert!(reply.get("error").is_none(), "the process replied: {reply}");
        reply
    }

    /// Sends `command` and returns the reply.
    ///
    /// # Panics
    /// See [`tell`](Self::tell) and [`hear`](Self::hear).
    pub fn ask(&self, command: &Value) -> Value {
        self.tell(command);
        self.hear()
    }

    /// Returns the process's value of `key`, or `None` if the key is missing.
    ///
    /// # Panics
    /// See [`ask`](Self::ask).
    pub fn get(&self, key: &str) -> Option<Value> {
        self.ask(&json!({ "do": "get", "key": key })).get("value").cloned()
    }

    /// Stores `value` in the process's region.
    ///
    /// # Panics
    /// See [`ask`](Self::ask).
    pub fn set(&self, key: &str, value: &Value) {
        self.ask(&json!({ "do": "set", "key": key, "value": value }));
    }

    /// Returns whether the process sees `key` as locked.
    ///
    /// # Panics
    /// See [`ask`](Self::ask).
    pub fn key_is_locked(&self, key: &str) -> bool {
        self.ask(&json!({ "do": "key_is_locked", "key": key }))["value"] == json!(true)
    }

    /// Makes the process request `key`, and returns while its creator of `value` runs.
    ///
    /// # Panics
    /// See [`ask`](Self::ask). Also panics if the creator is not called.
    pub fn begin_to_create(&self, key: &str, value: &Value) {
        let begun = self.ask(&json!({ "do": "get_or_create", "key": key, "value": value }));
        assert_eq!(begun, json!({ "creating": key }));
    }

    /// Kills the process with SIGKILL.
    ///
    /// # Panics
    /// Panics if the process has ended and was waited for.
    pub fn kill(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::KILL).expect("it exists until it is waited for");
    }

    /// Lets the running creator end, and returns what the process got.
    ///
    /// # Panics
    /// See [`ask`](Self::ask).
    pub fn end_creation(&self) -> Value {
        self.ask(&json!({}))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::python;

    #[cfg_attr(missing_python, ignore = "needs Python")]
    #[test]
    fn peer_stores_and_creates_values_on_command() {
        let python = python().unwrap();
        let peer = Peer::start(&python, &json!({ "backend": "dogpile.cache.memory", "arguments": {} }));
        assert_eq!(peer.get("key"), None);
        peer.set("key", &json!(["a", 1]));
        assert_eq!(peer.get("key"), Some(json!(["a", 1])));
        peer.begin_to_create("other", &json!(7));
        assert_eq!(peer.end_creation(), json!({ "value": 7, "created": true }));
    }
}
