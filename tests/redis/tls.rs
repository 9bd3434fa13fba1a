//! Encrypted connections.

use dogpile::RegionConfig;
use dogpile_tests::certificates::Certificates;
use dogpile_tests::errors::told;
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

/// Starts a server with TLS, and returns it with a configuration that connects to it with `options`.
fn encrypted(options: impl Fn(&Certificates) -> Value) -> (RedisServer, Certificates, RegionConfig) {
    let certificates = Certificates::new();
    let (server, port) = RedisServer::start_encrypted(&certificates).unwrap();
    let config = RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port)
        .argument("ssl", true)
        .argument("connection_kwargs", options(&certificates));
    (server, certificates, config)
}

fn without_authority(certificates: &Certificates) -> Value {
    let mut options = with_client_certificate(certificates);
    options.as_object_mut().unwrap().remove("ssl_ca_certs");
    options
}

fn with_client_certificate(certificates: &Certificates) -> Value {
    let (certificate, key) = certificates.client();
    json!({ "ssl_ca_certs": certificates.authority(), "ssl_certfile": certificate, "ssl_keyfile": key })
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn server_of_a_private_authority_gets_the_client_certificate() {
    bounded(|| {
        let (_server, _certificates, config) = encrypted(with_client_certificate);
        let region = region_of("encrypted", config);
        assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn server_of_an_unknown_authority_is_refused() {
    bounded(|| {
        let (_server, _certificates, config) = encrypted(without_authority);
        let error = told(&region_of("untrusting", config).get::<i32>("key").unwrap_err());
        assert!(error.contains("cannot open a TLS connection to Redis server 127.0.0.1"), "{error}");
        assert!(error.contains("invalid peer certificate"), "{error}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn certificate_is_not_checked_if_not_required() {
    bounded(|| {
        let unchecked = |certificates: &Certificates| {
            let mut options = without_authority(certificates);
            options["ssl_cert_reqs"] = json!("none");
            options
        };
        let (_server, _certificates, config) = encrypted(unchecked);
        assert_eq!(region_of("trusting", config).get_or_create("key", || 1).unwrap(), 1);
    });
}

/// Messages of TLS itself, such as new session tickets, do not count as unrequested replies.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn encrypted_connection_is_kept() {
    bounded(|| {
        let (server, _certificates, config) = encrypted(with_client_certificate);
        let region = region_of("encrypted", config);
        region.set("key", "v".repeat(100_000)).unwrap();
        let connections = || {
            let statistics = server.say(&["INFO", "stats"]);
            let (_, rest) = statistics.split_once("total_connections_received:").unwrap();
            rest.lines().next().unwrap().trim().parse::<usize>().unwrap()
        };
        let before = connections();
        (0..20).for_each(|_| assert_eq!(region.get("key").unwrap(), Some("v".repeat(100_000))));
        // One more: the one that asks.
        assert_eq!(connections(), before + 1);
    });
}

/// The system connects to 127.0.0.1 for this host. The certificate is valid only for the former.
const OTHER_HOST: &str = "0.0.0.0";

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn certificate_for_another_host_is_refused_if_checked() {
    bounded(|| {
        let (_server, _certificates, config) = encrypted(with_client_certificate);
        let region = region_of("checking", config.argument("host", OTHER_HOST));
        let error = told(&region.get::<i32>("key").unwrap_err());
        assert!(error.contains("not valid for name"), "{error}");
        let unchecked = |certificates: &Certificates| {
            let mut options = with_client_certificate(certificates);
            options["ssl_check_hostname"] = json!(false);
            options
        };
        let (_server, _certificates, config) = encrypted(unchecked);
        let region = region_of("not checking", config.argument("host", OTHER_HOST));
        assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn authority_is_checked_even_if_the_host_is_not() {
    bounded(|| {
        let unchecked = |certificates: &Certificates| {
            let mut options = without_authority(certificates);
            options["ssl_check_hostname"] = json!(false);
            options
        };
        let (_server, _certificates, config) = encrypted(unchecked);
        let error = told(&region_of("untrusting", config).get::<i32>("key").unwrap_err());
        assert!(error.contains("invalid peer certificate"), "{error}");
    });
}

/// A handshake that never ends must not block longer than the deadline, although it always makes progress.
#[test]
fn dripping_handshake_ends_at_the_deadline() {
    bounded(|| {
        let server = HostileServer::start();
        // The header of a record of 16 KiB, and then its bytes one by one.
        server.misbehave(Misbehavior::Drip(&[0x16, 0x03, 0x03, 0x40, 0x00]));
        let certificates = Certificates::new();
        let config = RegionConfig::new("dogpile.cache.redis")
            .argument("host", "127.0.0.1")
            .argument("port", server.port())
            .argument("ssl", true)
            .argument("socket_timeout", 0.3)
            .argument("connection_kwargs", json!({ "ssl_ca_certs": certificates.authority() }));
        let error = told(&region_of("dripping", config).get::<i32>("key").unwrap_err());
        assert!(error.contains("it did not reply in time"), "{error}");
    });
}
