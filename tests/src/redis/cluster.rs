//! [`ClusterServers`]: a cluster of three masters with a replica each.

use std::process::Command;

use super::RedisServer;
use crate::servers::{free_port, installed};
use crate::threads::until;

/// The six nodes of a cluster.
#[derive(Debug)]
pub struct ClusterServers {
    nodes: Vec<RedisServer>,
}

impl ClusterServers {
    /// Starts the nodes with `program`, and returns when all slots are served.
    ///
    /// # Errors
    /// If `program` is not installed.
    ///
    /// # Panics
    /// Panics if the cluster does not start.
    pub fn start(program: &str) -> Result<Self, String> {
        let nodes = (0..6).map(|_| node(program)).collect::<Result<Vec<_>, _>>()?;
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let created = Command::new(installed("redis-cli")?)
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("it runs");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let cluster = ClusterServers { nodes };
        until("each node knows all slots, and the replicas follow", || {
            cluster.nodes.iter().all(|node| {
                node.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && node.say(&["CLUSTER", "NODES"]).matches("slave").count() == 3
                    && !node.say(&["INFO", "replication"]).contains("master_link_status:down")
            })
        });
        Ok(cluster)
    }

    /// Returns the ports of the nodes.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(RedisServer::port).collect()
    }

    /// Returns the node on `port`.
    ///
    /// # Panics
    /// Panics if there is none.
    pub fn node(&mut self, port: u16) -> &mut RedisServer {
        self.nodes.iter_mut().find(|node| node.port() == port).expect("it is a node")
    }

    /// Returns the ports and names of the running masters, according to the node on `asked`.
    pub fn masters(&self, asked: u16) -> Vec<(u16, String)> {
        let nodes = super::say(asked, &["CLUSTER", "NODES"]);
        nodes.lines().filter_map(master).collect()
    }
}

/// Returns the port and name in a line of `CLUSTER NODES`, if the node is a master that is up.
fn master(line: &str) -> Option<(u16, String)> {
    let mut words = line.split(' ');
    let (name, address, flags) = (words.next()?, words.next()?, words.next()?);
    let port = address.split('@').next()?.rsplit(':').next()?.parse().ok()?;
    (flags.contains("master") && !flags.contains("fail")).then(|| (port, name.to_owned()))
}

fn node(program: &str) -> Result<RedisServer, String> {
    let bus = free_port().to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
    RedisServer::start_program(program, &[&cluster[..], &["--repl-diskless-sync-delay", "0"]].concat())
}
