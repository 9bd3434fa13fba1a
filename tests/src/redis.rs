//! Redis and Valkey servers for the tests.

mod cluster;
mod sentinel;

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

pub use self::cluster::ClusterServers;
pub use self::sentinel::{SERVICE, SentinelServers};
use crate::certificates::Certificates;
use crate::servers::{Process, folder, free_port, installed};
use crate::threads::until;

/// The program of a Redis server.
pub const REDIS: &str = "redis-server";
/// The program of a Valkey server.
pub const VALKEY: &str = "valkey-server";

/// A server with its own folder and port, which can be restarted.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    arguments: Vec<String>,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts a Redis server with further `arguments`.
    ///
    /// # Errors
    /// If the program is not installed.
    pub fn start(arguments: &[&str]) -> Result<Self, String> {
        RedisServer::start_program(REDIS, arguments)
    }

    /// Starts a server with TLS that requires a client certificate, and returns its TLS port.
    ///
    /// # Errors
    /// If the program is not installed.
    pub fn start_encrypted(certificates: &Certificates) -> Result<(Self, u16), String> {
        let port = free_port();
        let (certificate, key) = certificates.server();
        let [certificate, key, authority] =
            [certificate, key, certificates.authority()].map(|path| path.display().to_string());
        let port_text = port.to_string();
        let tls = ["--tls-port", &port_text, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let tls = [&tls[..], &["--tls-ca-cert-file", &authority, "--tls-auth-clients", "yes"]].concat();
        RedisServer::start(&tls).map(|server| (server, port))
    }

    /// Starts `program`, [`REDIS`] or [`VALKEY`], with further `arguments`.
    ///
    /// # Errors
    /// If the program is not installed.
    pub fn start_program(program: &str, arguments: &[&str]) -> Result<Self, String> {
        let (program, folder, port) = (installed(program)?, folder(), free_port());
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = RedisServer { program, arguments, folder, port, process: None };
        server.start_again();
        Ok(server)
    }

    /// Restarts the server on the same port, killing it first if it runs.
    pub fn start_again(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let (folder, socket) = (self.folder.path().display().to_string(), self.socket());
        let own = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", &folder];
        let own = own.into_iter().chain(["--unixsocket", &socket]);
        let arguments = own.chain(self.arguments.iter().map(String::as_str));
        let process = Process::start(&self.program, arguments, self.folder.path().join("log"));
        process.wait_for_port(self.port);
        until("the server's socket exists", || std::path::Path::new(&socket).exists());
        self.process = Some(process);
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Returns the process of the running server.
    ///
    /// # Panics
    /// Panics if the server was killed.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends `command` through redis-cli and returns the reply.
    ///
    /// # Panics
    /// Panics if redis-cli cannot be run.
    pub fn say(&self, command: &[&str]) -> String {
        say(self.port, command)
    }

    /// Returns the path of the server's unix socket.
    pub fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }
}

/// Sends `command` to the server on `port` through redis-cli, and returns the reply.
///
/// # Panics
/// Panics if redis-cli cannot be run.
pub fn say(port: u16, command: &[&str]) -> String {
    let client = installed("redis-cli").expect("it comes with the server");
    let port = port.to_string();
    let said = Command::new(client).args(["-h", "127.0.0.1", "-p", &port]).args(command).output();
    String::from_utf8_lossy(&said.expect("it runs").stdout).trim().to_owned()
}
