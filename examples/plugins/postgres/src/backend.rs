//! [`Postgres`]: `postgres.table`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dogpile_sdk::lease::LeaseOptions;
use dogpile_sdk::{BackendError, Capabilities, OnTokio, register_backend};

use crate::config::PostgresConfig;
use crate::link::Link;
use crate::purge::Purges;
use crate::server::Server;

register_backend! {
    name: "postgres.table",
    config: PostgresConfig,
    build: |config: PostgresConfig| Postgres::start(&config),
}

/// The most bytes of a key. An entry of the index has at most 2704 bytes.
pub(crate) const MOST_KEY_BYTES: usize = 2000;

/// How much longer than its own limit a call may take before the SDK cancels it.
const GRACE: Duration = Duration::from_secs(1);

/// Values in a table of a PostgreSQL server, and leased locks in another table.
#[derive(Debug)]
pub struct Postgres {
    /// The connections for values. Calls take turns on them.
    links: Vec<Link>,
    next: AtomicUsize,
    /// The connection for locks, so that a renewal does not wait behind the values of other keys. It waits for a fenced
    /// store of its own key.
    pub(crate) locks: Link,
    pub(crate) purges: Purges,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) max_value_bytes: usize,
    pub(crate) capabilities: Capabilities,
}

impl Postgres {
    /// Starts the backend. It connects when it is first used, so that an application starts while the server is down.
    ///
    /// # Errors
    /// If an argument is invalid, or if the runtime cannot be started.
    pub fn start(config: &PostgresConfig) -> Result<OnTokio<Postgres>, BackendError> {
        config.check()?;
        let (server, arguments) = (Arc::new(Server::new(config)?), config.clone());
        let build = move || {
            let tables = Postgres::new(&server, &arguments);
            async move { Ok(tables) }
        };
        let limit = config.timeout.saturating_add(GRACE);
        let backend = OnTokio::start(config.threads, build)?.with_call_timeout(limit);
        if !config.distributed_lock {
            return Ok(backend);
        }
        let mut options = LeaseOptions::default();
        options.lease = config.lease;
        Ok(backend.with_leases(options))
    }

    fn new(server: &Arc<Server>, arguments: &PostgresConfig) -> Self {
        let capabilities = Capabilities::default()
            .with_key_limit(MOST_KEY_BYTES)
            .with_value_limit(arguments.max_value_bytes as u64)
            .with_native_expiry()
            .with_native_batch()
            .with_scope(server.scope());
        let link = || Link::new(Arc::clone(server));
        Postgres {
            links: (0..arguments.connections).map(|_| link()).collect(),
            next: AtomicUsize::new(0),
            locks: link(),
            purges: Purges::new(Arc::clone(server), arguments.purge_interval),
            time_to_live: arguments.time_to_live,
            max_value_bytes: arguments.max_value_bytes,
            capabilities: if arguments.distributed_lock { capabilities.with_fencing() } else { capabilities },
        }
    }

    /// Returns the connection for values whose turn it is.
    pub(crate) fn link(&self) -> &Link {
        &self.links[self.next.fetch_add(1, Relaxed) % self.links.len()]
    }

    /// Closes all connections, and ends a purge.
    pub(crate) fn close_all(&self) {
        self.links.iter().for_each(Link::close);
        self.locks.close();
        self.purges.end();
    }
}
