//! memcached servers for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::servers::{Process, folder, free_port, installed};
use crate::threads::until;

/// A server on its own port, which can be restarted.
#[derive(Debug)]
pub struct MemcachedServer {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl MemcachedServer {
    /// Starts a server with further `arguments`.
    ///
    /// # Errors
    /// If memcached is not installed.
    pub fn start(arguments: &[&str]) -> Result<Self, String> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = MemcachedServer {
            program: installed("memcached")?,
            arguments,
            environment: Vec::new(),
            folder: folder(),
            port: free_port(),
            process: None,
        };
        server.start_again();
        Ok(server)
    }

    /// Starts a server on a unix socket only, and returns the path of the socket.
    ///
    /// # Errors
    /// If memcached is not installed.
    pub fn start_on_a_socket() -> Result<(Self, String), String> {
        let mut server = MemcachedServer {
            program: installed("memcached")?,
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: folder(),
            port: 0,
            process: None,
        };
        let socket = server.folder.path().join("socket").display().to_string();
        server.arguments = vec!["-s".to_owned(), socket.clone()];
        server.start_again();
        until("the server's socket exists", || Path::new(&socket).exists());
        Ok((server, socket))
    }

    /// Starts a server with TLS.
    ///
    /// # Errors
    /// If memcached is not installed.
    pub fn start_encrypted(certificates: &Certificates) -> Result<Self, String> {
        let options = encrypted(certificates);
        MemcachedServer::start(&["-Z", "-o", &options])
    }

    /// Starts a server in SASL mode, with the user `tester` and the password `0123`. With `certificates`, it uses TLS.
    ///
    /// # Errors
    /// If memcached is not installed.
    ///
    /// # Panics
    /// Panics if the user cannot be created.
    pub fn start_guarded(certificates: Option<&Certificates>) -> Result<Self, String> {
        let program = installed("memcached")?;
        let users = installed("saslpasswd2")?;
        let folder = folder();
        let database = folder.path().join("users").display().to_string();
        let config = format!("mech_list: plain\npwcheck_method: auxprop\nsasldb_path: {database}\n");
        fs::write(folder.path().join("memcached.conf"), config).expect("the folder can be written to");
        let mut add = Command::new(users);
        add.args(["-p", "-c", "-a", "memcached", "-f", &database, "-u", &host_name(), "tester"]);
        add.stdin(std::process::Stdio::piped());
        let mut add = add.spawn().expect("it is installed");
        use std::io::Write;
        add.stdin.take().expect("it is piped").write_all(b"0123\n").expect("it reads a password");
        assert!(add.wait().expect("it was started").success());
        let mut arguments = vec!["-S".to_owned()];
        if let Some(certificates) = certificates {
            arguments.extend(["-Z".to_owned(), "-o".to_owned(), encrypted(certificates)]);
        }
        let environment = vec![("SASL_CONF_PATH".to_owned(), folder.path().display().to_string())];
        let (port, process) = (free_port(), None);
        let mut server = MemcachedServer { program, arguments, environment, folder, port, process };
        server.start_again();
        Ok(server)
    }

    /// Restarts the server on the same port, killing it first if it runs. It is then empty.
    pub fn start_again(&mut self) {
        self.kill();
        let port = self.port.to_string();
        // A server that is started by root needs a user to run as.
        let own = ["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "root"];
        let own = if self.port == 0 { &own[6..] } else { &own[..] };
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let arguments = environment.chain([self.program.display().to_string()]);
        let arguments = arguments.chain(own.iter().map(|&argument| argument.to_owned()));
        let arguments: Vec<String> = arguments.chain(self.arguments.iter().cloned()).collect();
        let process = Process::start(Path::new("env"), arguments, self.folder.path().join("log"));
        if self.port != 0 {
            process.wait_for_port(self.port);
        }
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

    /// Returns the address `127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn encrypted(certificates: &Certificates) -> String {
    let (certificate, key) = certificates.server();
    format!("ssl_chain_cert={},ssl_key={}", certificate.display(), key.display())
}

/// Returns the machine's name, which is the default realm of a user.
fn host_name() -> String {
    let name = Command::new("hostname").output().expect("every system has it");
    String::from_utf8_lossy(&name.stdout).trim().to_owned()
}
