//! The four memcached backends, with each way to reach a server.

use std::sync::{Arc, OnceLock};

use dogpile::sdk::Arguments;

use super::subject::Subject;
use crate::certificates::Certificates;
use crate::memcached::MemcachedServer;
use crate::servers::installed;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        memcached("memcached", "dogpile.cache.memcached", || one("")),
        memcached("memcached_distributed_lock", "dogpile.cache.memcached", || {
            three("distributed_lock = true\nmin_compress_len = 100")
        }),
        memcached("pymemcache", "dogpile.cache.pymemcache", || one("")),
        memcached("pymemcache_distributed_lock", "dogpile.cache.pymemcache", || {
            three("distributed_lock = true\nmemcached_expire_time = 600")
        }),
        memcached("pymemcache_lock_timeout", "dogpile.cache.pymemcache", || {
            one("distributed_lock = true\nlock_timeout = 30")
        }),
        memcached("pymemcache_retries", "dogpile.cache.pymemcache", || {
            one("enable_retry_client = true\nretry_attempts = 3")
        }),
        memcached("pymemcache_tls", "dogpile.cache.pymemcache", || {
            let (certificates, server) = encrypted();
            tls(certificates, server, "distributed_lock = true")
        }),
        memcached("pylibmc", "dogpile.cache.pylibmc", || one("")),
        memcached("pylibmc_distributed_lock", "dogpile.cache.pylibmc", || {
            three("distributed_lock = true\nbehaviors = { ketama = true }\nmin_compress_len = 100")
        }),
        memcached("pylibmc_binary", "dogpile.cache.pylibmc", || {
            one("binary = true\ndistributed_lock = true")
        }),
        memcached("pylibmc_unix_socket", "dogpile.cache.pylibmc", || {
            static SERVER: OnceLock<(MemcachedServer, String)> = OnceLock::new();
            let start = || MemcachedServer::start_on_a_socket().expect("it is installed");
            format!("url = '{}'", SERVER.get_or_init(start).1)
        }),
        memcached("bmemcached", "dogpile.cache.bmemcached", || one("")),
        memcached("bmemcached_distributed_lock", "dogpile.cache.bmemcached", || {
            three("distributed_lock = true")
        }),
        memcached("bmemcached_lock_timeout", "dogpile.cache.bmemcached", || {
            one("distributed_lock = true\nlock_timeout = 30")
        }),
        memcached("bmemcached_tls", "dogpile.cache.bmemcached", || {
            let (certificates, server) = encrypted();
            tls(certificates, server, "distributed_lock = true")
        }),
        memcached("bmemcached_user", "dogpile.cache.bmemcached", || {
            static SERVER: OnceLock<MemcachedServer> = OnceLock::new();
            let server =
                SERVER.get_or_init(|| MemcachedServer::start_guarded(None).expect("it is installed"));
            format!("url = '{}'\nusername = 'tester'\npassword = '0123'", server.url())
        }),
        memcached("bmemcached_user_tls", "dogpile.cache.bmemcached", || {
            static SERVER: OnceLock<(Certificates, MemcachedServer)> = OnceLock::new();
            let (certificates, server) = SERVER.get_or_init(|| {
                let certificates = Certificates::new();
                let server = MemcachedServer::start_guarded(Some(&certificates)).expect("it is installed");
                (certificates, server)
            });
            tls(certificates, server, "username = 'tester'\npassword = '0123'")
        }),
    ]
}

fn servers() -> &'static [MemcachedServer] {
    static SERVERS: OnceLock<Vec<MemcachedServer>> = OnceLock::new();
    SERVERS.get_or_init(|| (0..3).map(|_| MemcachedServer::start(&[]).expect("it is installed")).collect())
}

fn one(more: &str) -> String {
    format!("url = '{}'\n{more}", servers()[0].url())
}

/// Returns why the backends cannot be tested here.
pub(super) fn missing() -> Option<String> {
    installed("memcached").and_then(|_| installed("saslpasswd2")).err()
}

/// Returns arguments that name three servers.
pub(super) fn three(more: &str) -> String {
    let urls: Vec<_> = servers().iter().map(|server| format!("'{}'", server.url())).collect();
    format!("url = [{}]\n{more}", urls.join(", "))
}

fn encrypted() -> &'static (Certificates, MemcachedServer) {
    static SERVER: OnceLock<(Certificates, MemcachedServer)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let certificates = Certificates::new();
        let server = MemcachedServer::start_encrypted(&certificates).expect("it is installed");
        (certificates, server)
    })
}

fn tls(certificates: &Certificates, server: &MemcachedServer, more: &str) -> String {
    let authority = certificates.authority();
    format!("url = '{}'\n{more}\ntls_context = {{ cafile = '{}' }}", server.url(), authority.display())
}

/// Creates a subject whose `arguments` are TOML.
fn memcached(name: &'static str, backend: &'static str, arguments: fn() -> String) -> Subject {
    let missing = missing();
    let arguments =
        Arc::new(move || toml::from_str::<Arguments>(&arguments()).expect("the arguments are TOML"));
    Subject { name, package: "dogpile-memcached-dylib", backend, arguments, missing }
}
