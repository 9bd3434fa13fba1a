//! Connections that are encrypted.

use dogpile::RegionConfig;
use dogpile_tests::certificates::Certificates;
use dogpile_tests::errors::told;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

/// A server that speaks TLS, and a configuration that reaches it with `options`.
fn encrypted(options: impl Fn(&Certificates) -> Value) -> Option<(RedisServer, Certificates, RegionConfig)> {
    let certificates = Certificates::new();
    let started = RedisServer::start_encrypted(&certificates);
    let (server, port) = started.inspect_err(|why| eprintln!("ignored: {why}")).ok()?;
    let config = RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port)
        .argument("ssl", true)
        .argument("connection_kwargs", options(&certificates));
    Some((server, certificates, config))
}

fn with_client_certificate(certificates: &Certificates) -> Value {
    let (certificate, key) = certificates.client();
    json!({ "ssl_ca_certs": certificates.authority(), "ssl_certfile": certificate, "ssl_keyfile": key })
}

#[test]
fn a_server_of_a_private_authority_is_trusted_and_shown_who_asks() {
    bounded(|| {
        let Some((_server, _certificates, config)) = encrypted(with_client_certificate) else { return };
        let region = region_of("encrypted", config);
        assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[test]
fn a_server_whose_authority_is_not_known_is_refused() {
    bounded(|| {
        let without_authority = |certificates: &Certificates| {
            let mut options = with_client_certificate(certificates);
            options.as_object_mut().unwrap().remove("ssl_ca_certs");
            options
        };
        let Some((_server, _certificates, config)) = encrypted(without_authority) else { return };
        let refused = region_of("untrusting", config).get::<i32>("key").unwrap_err();
        let told = told(&refused);
        assert!(told.contains("cannot open a TLS connection to Redis server 127.0.0.1"), "{told}");
        assert!(told.contains("invalid peer certificate"), "{told}");
    });
}

#[test]
fn a_server_is_taken_unchecked_only_if_that_is_asked_for() {
    bounded(|| {
        let unchecked = |certificates: &Certificates| {
            let mut options = with_client_certificate(certificates);
            options.as_object_mut().unwrap().remove("ssl_ca_certs");
            options["ssl_cert_reqs"] = json!("none");
            options
        };
        let Some((_server, _certificates, config)) = encrypted(unchecked) else { return };
        assert_eq!(region_of("trusting", config).get_or_create("key", || 1).unwrap(), 1);
    });
}
