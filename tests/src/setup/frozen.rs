//! Backends on servers that are stopped by SIGSTOP. Each setup has a server of its own, which no other setup uses.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dogpile::sdk::Arguments;
use dogpile_conformance::Setup;

use super::subject::{Build, Subject, as_backend_error, linked, loaded};
use super::{memcached, redis};
use crate::memcached::MemcachedServer;
use crate::redis::{REDIS, RedisServer, VALKEY};
use crate::servers::Process;

/// The time that one exchange with a server may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The time that a call may take: an exchange, and less than a second one for a busy machine.
const BOUND: Duration = Duration::from_millis(3_800);

/// The time for which a client of memcached leaves a server alone that has failed, as configured below.
const RECOVERY: Duration = Duration::from_millis(600);

/// That of bmemcached cannot be configured.
const BMEMCACHED_RECOVERY: Duration = Duration::from_millis(5_100);

/// Returns a setup for each client and protocol. A loaded client shows that no wait is added at the FFI boundary.
pub(super) fn setups() -> Vec<Setup> {
    let redis = |name, backend, program, build| {
        let start = move || RedisServer::start_program(program, &[]).expect("it is installed");
        let arguments = |server: &RedisServer| format!("host = '127.0.0.1'\nport = {}", server.port());
        frozen(
            name,
            "dogpile-redis-dylib",
            backend,
            build,
            redis::missing(),
            Server::new(start, arguments, RedisServer::process),
        )
    };
    let memcached = |name, backend, more: &'static str| {
        let start = || MemcachedServer::start(&[]).expect("it is installed");
        let arguments = move |server: &MemcachedServer| format!("url = '{}'\n{more}", server.url());
        frozen(
            name,
            "dogpile-memcached-dylib",
            backend,
            linked,
            memcached::missing(),
            Server::new(start, arguments, MemcachedServer::process),
        )
        .with_recovery(RECOVERY)
    };
    vec![
        redis("redis_frozen", "dogpile.cache.redis", REDIS, linked),
        redis("redis_frozen_loaded", "dogpile.cache.redis", REDIS, loaded),
        redis("valkey_frozen", "dogpile.cache.valkey", VALKEY, linked),
        memcached("memcached_frozen", "dogpile.cache.memcached", "dead_retry = 0.5"),
        memcached("bmemcached_frozen", "dogpile.cache.bmemcached", "").with_recovery(BMEMCACHED_RECOVERY),
    ]
}

/// A server that starts when it is first needed.
struct Server<S> {
    started: OnceLock<S>,
    start: Box<dyn Fn() -> S + Send + Sync>,
    arguments: Box<dyn Fn(&S) -> String + Send + Sync>,
    process: fn(&S) -> &Process,
}

impl<S: Send + Sync> Server<S> {
    fn new(
        start: impl Fn() -> S + Send + Sync + 'static,
        arguments: impl Fn(&S) -> String + Send + Sync + 'static,
        process: fn(&S) -> &Process,
    ) -> Arc<Self> {
        let (start, arguments) = (Box::new(start), Box::new(arguments));
        Arc::new(Server { started: OnceLock::new(), start, arguments, process })
    }

    fn get(&self) -> &S {
        self.started.get_or_init(|| (self.start)())
    }

    fn process(&self) -> &Process {
        (self.process)(self.get())
    }

    fn arguments(&self) -> Arguments {
        let timeout = TIMEOUT.as_secs();
        let own = (self.arguments)(self.get());
        let text = format!("socket_timeout = {timeout}\ndistributed_lock = true\n{own}");
        toml::from_str(&text).expect("the arguments are TOML")
    }
}

fn frozen<S: Send + Sync + 'static>(
    name: &'static str,
    package: &'static str,
    backend: &'static str,
    build: Build,
    missing: Option<String>,
    server: Arc<Server<S>>,
) -> Setup {
    let (stopped, continued) = (Arc::clone(&server), Arc::clone(&server));
    let arguments = Arc::new(move || server.arguments());
    let subject = Subject { name, package, backend, arguments, missing: missing.clone() };
    let setup = Setup::new(name, move || build(&subject).map_err(as_backend_error));
    let setup = setup.freezable(BOUND, move || stopped.process().stop(), move || continued.process().go_on());
    match missing {
        Some(why) => setup.ignored(why),
        None => setup,
    }
}
