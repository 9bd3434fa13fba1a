//! [`Subject`]: the regions on which the workload runs.

use std::sync::{Arc, OnceLock};

use dogpile::sdk::CreationTime;
use dogpile::{CacheRegion, Clock, RegionConfig, SystemClock};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::redis::{REDIS, RedisServer};
use dogpile_tests::servers::{folder, installed};
use tempfile::TempDir;

use super::pauses::{Paused, SlowMutexes};
use super::random::pause;

/// A region that is not built yet: its name and its configuration.
#[derive(Clone)]
pub(crate) struct Subject {
    /// The name.
    pub(crate) name: &'static str,
    /// Whether the store may drop values on its own.
    pub(crate) evicts: bool,
    /// Why it cannot be tested here.
    pub(crate) missing: Option<String>,
    config: Arc<dyn Fn() -> RegionConfig + Send + Sync>,
}

impl Subject {
    /// Returns a region over a store of this process or over a file.
    pub(crate) fn new(name: &'static str, config: impl Fn() -> RegionConfig + Send + Sync + 'static) -> Self {
        Subject { name, evicts: false, missing: None, config: Arc::new(config) }
    }

    /// Returns the same subject, which cannot be tested without `program`.
    pub(crate) fn on_server(self, program: &str) -> Self {
        Subject { missing: installed(program).err(), ..self }
    }

    fn evicting(self) -> Self {
        Subject { evicts: true, ..self }
    }

    /// Returns the region, whose store pauses at random.
    pub(crate) fn region(&self) -> Arc<CacheRegion> {
        let region = CacheRegion::new(self.name);
        region.configure((self.config)()).expect("the region can be configured");
        Arc::new(region)
    }
}

/// Returns a configuration whose store pauses at random.
pub(crate) fn paused(backend: &str) -> RegionConfig {
    RegionConfig::new(backend).wrap_in(Paused::new)
}

/// Returns a region on each backend.
pub(crate) fn subjects() -> Vec<Subject> {
    const MEMORY: &str = "dogpile.cache.memory";
    vec![
        Subject::new("memory", || paused(MEMORY)),
        Subject::new("memory_slow_mutex", || paused(MEMORY).wrap_in(SlowMutexes::new)),
        Subject::new("memory_coarse_clock", || paused(MEMORY).clock(Arc::new(CoarseClock))),
        Subject::new("memory_slow_clock", || paused(MEMORY).clock(Arc::new(SlowClock))),
        Subject::new("memory_bounded", || paused(MEMORY).argument("max_entries", 100)).evicting(),
        Subject::new("memory_pickle", || paused("dogpile.cache.memory_pickle")),
        Subject::new("dbm", || paused("dogpile.cache.dbm").argument("filename", file("dbm"))),
        Subject::new("lmdb", || {
            paused("dogpile.cache.lmdb").argument("filename", file("lmdb")).argument("synchronous", "off")
        }),
        Subject::new("redis", || on_redis(paused(REDIS_BACKEND))).on_server(REDIS),
        Subject::new("redis_distributed_lock", || {
            on_redis(paused(REDIS_BACKEND)).argument("distributed_lock", true)
        })
        .on_server(REDIS),
        Subject::new("memcached", || on_memcached(paused(MEMCACHED_BACKEND))).on_server("memcached"),
    ]
}

/// Returns a file that no other subject has.
pub(crate) fn file(name: &str) -> String {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(folder).path().join(name).display().to_string()
}

pub(crate) const REDIS_BACKEND: &str = "dogpile.cache.redis";
pub(crate) const MEMCACHED_BACKEND: &str = "dogpile.cache.memcached";

/// Returns the same region on the Redis server of these tests.
pub(crate) fn on_redis(config: RegionConfig) -> RegionConfig {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| RedisServer::start(&[]).expect("it is installed"));
    let config = config.argument("host", "127.0.0.1").argument("port", server.port());
    config.argument("socket_timeout", PATIENCE)
}

/// Returns the same region on the memcached server of these tests.
pub(crate) fn on_memcached(config: RegionConfig) -> RegionConfig {
    static SERVER: OnceLock<MemcachedServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| MemcachedServer::start(&[]).expect("it is installed"));
    config.argument("url", server.url()).argument("socket_timeout", PATIENCE)
}

/// The time that a server may take to reply, in seconds. A busy machine is not a fault of the region, and memcached
/// drops writes that take too long.
const PATIENCE: u64 = 20;

/// A clock that shows whole milliseconds, so that many events happen at one time.
#[derive(Debug)]
pub(crate) struct CoarseClock;

impl Clock for CoarseClock {
    fn now(&self) -> CreationTime {
        CreationTime::from_seconds((SystemClock.now().as_seconds() * 1000.0).floor() / 1000.0)
    }
}

/// The system's clock, as seen by a thread that is held up between reading the time and using it.
#[derive(Debug)]
struct SlowClock;

impl Clock for SlowClock {
    fn now(&self) -> CreationTime {
        let now = SystemClock.now();
        pause(1);
        now
    }
}
