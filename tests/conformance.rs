//! The conformance suite on all our backends, linked and loaded.
//!
//! Behavior: `redis-generic-suite`, `redis-distributed-mutex`, `redis-distributed-mutex-prefix`, `valkey-generic-suite`,
//! `valkey-distributed-mutex`, `valkey-distributed-mutex-prefix`, `sentinel-generic-suite`, `sentinel-distributed-mutex`,
//! `dbm-behind-proxy`,
//! `python-memcached-generic-suite`, `python-memcached-distributed-generic-suite`, `python-memcached-distributed-mutex`,
//! `pymemcache-generic-suite`, `pymemcache-distributed-generic-suite`, `pymemcache-distributed-mutex`,
//! `pymemcache-distributed-timeout-suite`, `pymemcache-distributed-mutex-timeout`, `pymemcache-tls-suite`,
//! `pymemcache-retry-client-suite`, `pylibmc-generic-suite`, `pylibmc-distributed-generic-suite`,
//! `pylibmc-distributed-mutex`, `bmemcached-generic-suite`, `bmemcached-distributed-generic-suite`,
//! `bmemcached-distributed-mutex`, `bmemcached-distributed-timeout-suite`, `bmemcached-distributed-mutex-timeout`,
//! `bmemcached-tls-suite`

fn main() -> std::process::ExitCode {
    dogpile_conformance::run(dogpile_tests::setup::setups())
}
