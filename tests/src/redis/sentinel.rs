//! A master, its replicas, and the sentinels that watch them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{RedisServer, say};
use crate::servers::{Process, folder, free_port, installed};
use crate::threads::until;

/// By what name the sentinels know the master.
pub const SERVICE: &str = "pifpaf";

/// One master, two replicas and three sentinels.
#[derive(Debug)]
pub struct SentinelServers {
    servers: Vec<RedisServer>,
    sentinels: Vec<(u16, Process)>,
    _folder: TempDir,
}

impl SentinelServers {
    /// Starts them, of `program`; returns when the sentinels know all of them.
    ///
    /// # Errors
    /// If it is not installed.
    ///
    /// # Panics
    /// If they do not come up.
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

    /// Where the sentinels listen.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|(port, _)| *port).collect()
    }

    /// The server that the sentinels take for the master.
    ///
    /// # Panics
    /// If they take none for it.
    pub fn master(&mut self) -> &mut RedisServer {
        let port = self.master_port();
        self.servers.iter_mut().find(|server| server.port() == port).expect("the master is one of ours")
    }

    /// Where that server listens.
    ///
    /// # Panics
    /// If the sentinels say nothing of the kind.
    pub fn master_port(&self) -> u16 {
        let told = say(self.sentinels[0].0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        told.lines().nth(1).and_then(|port| port.parse().ok()).expect("it tells host and port")
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

/// Whether the sentinel knows two other sentinels, and two replicas that hear the master.
fn is_complete(port: u16) -> bool {
    let sentinels = say(port, &["SENTINEL", "SENTINELS", SERVICE]);
    let replicas = say(port, &["SENTINEL", "REPLICAS", SERVICE]);
    let follows = |word| replicas.lines().filter(|line| *line == word).count();
    sentinels.lines().filter(|line| *line == "runid").count() == 2 && follows("ok") == 2
}
