//! [`SentinelServers`]: a master, its replicas, and the sentinels that watch them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{RedisServer, say};
use crate::servers::{Process, folder, free_port, installed};
use crate::threads::until;

/// The name of the master in the sentinels.
pub const SERVICE: &str = "pifpaf";

/// One master, two replicas, and three sentinels.
#[derive(Debug)]
pub struct SentinelServers {
    servers: Vec<RedisServer>,
    sentinels: Vec<(u16, Process)>,
    _folder: TempDir,
}

impl SentinelServers {
    /// Starts the servers with `program`, and returns when the sentinels know all of them.
    ///
    /// # Errors
    /// If `program` is not installed.
    ///
    /// # Panics
    /// Panics if the servers do not start.
    pub fn start(program: &str) -> Result<Self, String> {
        let master = RedisServer::start_program(program, &["--repl-diskless-sync-delay", "0"])?;
        let of_master = format!("127.0.0.1 {}", master.port());
        let follow = ["--replicaof", &of_master, "--repl-diskless-sync-delay", "0"];
        let replica = || RedisServer::start_program(program, &follow);
        let servers = vec![replica()?, replica()?, master];
        let (folder, program) = (folder(), installed(program)?);
        let sentinels = (0..3).map(|_| sentinel(&program, folder.path(), servers[2].port())).collect();
        let all = SentinelServers { servers, sentinels, _folder: folder };
        until("the sentinels know each other and the replicas", || {
            all.sentinel_ports().iter().all(|port| is_complete(*port))
        });
        Ok(all)
    }

    /// Returns the ports of the sentinels.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|(port, _)| *port).collect()
    }

    /// Returns the ports of the master and its replicas.
    pub fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(RedisServer::port).collect()
    }

    /// Returns the current master, according to the sentinels.
    ///
    /// # Panics
    /// Panics if the sentinels know no master.
    pub fn master(&mut self) -> &mut RedisServer {
        let port = self.master_port();
        self.servers.iter_mut().find(|server| server.port() == port).expect("the master is one of ours")
    }

    /// Returns the port of the current master, according to the sentinels.
    ///
    /// # Panics
    /// Panics if the sentinels know no master.
    pub fn master_port(&self) -> u16 {
        let reply = say(self.sentinels[0].0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        reply.lines().nth(1).and_then(|port| port.parse().ok()).expect("the reply has host and port")
    }
}

fn sentinel(program: &Path, folder: &Path, master: u16) -> (u16, Process) {
    let port = free_port();
    let config = folder.join(format!("sentinel-{port}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 3000\n",
        folder.display()
    );
    fs::write(&config, text).expect("the folder can be written to");
    let log = folder.join(format!("sentinel-{port}.log"));
    let process = Process::start(program, [config.as_os_str(), "--sentinel".as_ref()], log);
    process.wait_for_port(port);
    (port, process)
}

/// Returns whether the sentinel knows two other sentinels, and two replicas that are connected to the master.
fn is_complete(port: u16) -> bool {
    let sentinels = say(port, &["SENTINEL", "SENTINELS", SERVICE]);
    let replicas = say(port, &["SENTINEL", "REPLICAS", SERVICE]);
    let follows = |word| replicas.lines().filter(|line| *line == word).count();
    sentinels.lines().filter(|line| *line == "runid").count() == 2 && follows("ok") == 2
}
