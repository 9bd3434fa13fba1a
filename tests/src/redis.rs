//! Redis servers for the tests.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::servers::{Process, folder, free_port, installed};
use crate::threads::until;

/// A server of its own folder and port, which can be started anew.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    arguments: Vec<String>,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one with further `arguments`.
    ///
    /// # Errors
    /// If redis-server is not installed.
    pub fn start(arguments: &[&str]) -> Result<Self, String> {
        let (program, folder, port) = (installed("redis-server")?, folder(), free_port());
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = RedisServer { program, arguments, folder, port, process: None };
        server.start_again();
        Ok(server)
    }

    /// Kills it, if it runs, and starts it on the same port.
    pub fn start_again(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let (folder, socket) = (self.folder.path().display().to_string(), self.socket());
        let own = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", &folder];
        let own = own.into_iter().chain(["--unixsocket", &socket]);
        let arguments = own.chain(self.arguments.iter().map(String::as_str));
        let process = Process::start(&self.program, arguments, self.folder.path().join("log"));
        process.wait_for_port(self.port);
        until("the server's socket is there", || std::path::Path::new(&socket).exists());
        self.process = Some(process);
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Its process, while it runs.
    ///
    /// # Panics
    /// If it was killed.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The unix socket that it listens on.
    pub fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }
}
