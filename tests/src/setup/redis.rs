//! The Redis backends, with each kind of deployment and each way to reach it.

use std::sync::{Arc, OnceLock};

use dogpile::sdk::Arguments;

use super::subject::Subject;
use crate::certificates::Certificates;
use crate::redis::{ClusterServers, REDIS, RedisServer, SERVICE, SentinelServers, VALKEY};
use crate::servers::installed;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        redis("redis", "dogpile.cache.redis", || on(open_server(), "")),
        redis("redis_distributed_lock", "dogpile.cache.redis", || {
            on(open_server(), "distributed_lock = true")
        }),
        redis("redis_lock_prefix", "dogpile.cache.redis", || {
            on(open_server(), "distributed_lock = true\nlock_prefix = '_lok.'")
        }),
        redis("redis_expiring", "dogpile.cache.redis", || on(open_server(), "redis_expiration_time = 600")),
        redis("redis_unix_socket", "dogpile.cache.redis", || {
            format!("url = 'unix://{}?db=1'\ndistributed_lock = true", open_server().socket())
        }),
        redis("redis_user", "dogpile.cache.redis", || {
            on(guarded_server(), "username = 'tester'\npassword = '0123'")
        }),
        redis("redis_tls", "dogpile.cache.redis", encrypted_server),
        redis("redis_sentinel", "dogpile.cache.redis_sentinel", || of_sentinels(sentinels(), "")),
        redis("redis_sentinel_without_lock", "dogpile.cache.redis_sentinel", || {
            of_sentinels(sentinels(), "distributed_lock = false")
        }),
        redis("redis_cluster", "dogpile.cache.redis_cluster", || {
            of_cluster(cluster(), "distributed_lock = true")
        }),
        redis("redis_cluster_by_url", "dogpile.cache.redis_cluster", || {
            format!("url = 'redis://127.0.0.1:{}'\nredis_expiration_time = 600", cluster().ports()[0])
        }),
        valkey("valkey", "dogpile.cache.valkey", || on(valkey_server(), "")),
        valkey("valkey_distributed_lock", "dogpile.cache.valkey", || {
            on(valkey_server(), "distributed_lock = true")
        }),
        valkey("valkey_lock_prefix", "dogpile.cache.valkey", || {
            on(valkey_server(), "distributed_lock = true\nlock_prefix = '_lok.'")
        }),
        valkey("valkey_sentinel", "dogpile.cache.valkey_sentinel", || of_sentinels(valkey_sentinels(), "")),
        valkey("valkey_cluster", "dogpile.cache.valkey_cluster", || {
            of_cluster(valkey_cluster(), "distributed_lock = true")
        }),
    ]
}

/// Returns why the backends cannot be tested here.
pub(super) fn missing() -> Option<String> {
    installed(REDIS).err()
}

/// Returns arguments for the server that requires no login.
pub(super) fn on_open_server(more: &str) -> String {
    on(open_server(), more)
}

fn on(server: &RedisServer, more: &str) -> String {
    format!("host = '127.0.0.1'\nport = {}\n{more}", server.port())
}

fn of_sentinels(servers: &SentinelServers, more: &str) -> String {
    let [first, second, third] = servers.sentinel_ports()[..] else { panic!("there are three") };
    format!(
        "sentinels = [['127.0.0.1', {first}], '127.0.0.1:{second}', {{ host = '127.0.0.1', port = {third} }}]\n\
         service_name = '{SERVICE}'\n{more}"
    )
}

fn of_cluster(servers: &ClusterServers, more: &str) -> String {
    let ports = servers.ports();
    format!("startup_nodes = ['127.0.0.1:{}', '127.0.0.1:{}']\n{more}", ports[0], ports[5])
}

/// Starts servers when they are first needed.
macro_rules! servers {
    ($($name:ident: $servers:ty = $start:expr;)*) => {$(
        fn $name() -> &'static $servers {
            static SERVERS: OnceLock<$servers> = OnceLock::new();
            SERVERS.get_or_init(|| $start.expect("it is installed"))
        }
    )*};
}

servers! {
    open_server: RedisServer = RedisServer::start(&[]);
    guarded_server: RedisServer = {
        let user = ["--user", "tester", "on", ">0123", "~*", "&*", "+@all"];
        RedisServer::start(&[&["--requirepass", "secret"][..], &user].concat())
    };
    sentinels: SentinelServers = SentinelServers::start(REDIS);
    cluster: ClusterServers = ClusterServers::start(REDIS);
    valkey_server: RedisServer = RedisServer::start_program(VALKEY, &[]);
    valkey_sentinels: SentinelServers = SentinelServers::start(VALKEY);
    valkey_cluster: ClusterServers = ClusterServers::start(VALKEY);
}

fn encrypted_server() -> String {
    static SERVER: OnceLock<(Certificates, RedisServer, u16)> = OnceLock::new();
    let (certificates, _, port) = SERVER.get_or_init(|| {
        let certificates = Certificates::new();
        let (server, port) = RedisServer::start_encrypted(&certificates).expect("it is installed");
        (certificates, server, port)
    });
    let (certificate, key) = certificates.client();
    format!(
        "host = 'localhost'\nport = {port}\nssl = true\ndistributed_lock = true\n[connection_kwargs]\n\
         ssl_ca_certs = '{}'\nssl_certfile = '{}'\nssl_keyfile = '{}'",
        certificates.authority().display(),
        certificate.display(),
        key.display()
    )
}

fn redis(name: &'static str, backend: &'static str, arguments: fn() -> String) -> Subject {
    subject(name, backend, REDIS, arguments)
}

fn valkey(name: &'static str, backend: &'static str, arguments: fn() -> String) -> Subject {
    subject(name, backend, VALKEY, arguments)
}

/// Creates a subject whose `arguments` are TOML.
fn subject(name: &'static str, backend: &'static str, server: &str, arguments: fn() -> String) -> Subject {
    let missing = installed(server).err();
    let arguments =
        Arc::new(move || toml::from_str::<Arguments>(&arguments()).expect("the arguments are TOML"));
    Subject { name, package: "dogpile-redis-dylib", backend, arguments, missing }
}
