//! [`Server`]: the address of the server, its tables, and the limits of calls.

use std::time::Duration;

use dogpile_sdk::{BackendError, bounds};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::config::PostgresConfig;
use crate::schema::Schema;

/// The port of a URL without one.
const PORT: u16 = 5432;

/// What each connection needs to know.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its `Debug` output omits the password.
    pub(crate) config: Config,
    /// The name in error messages, such as `db1:5432`.
    pub(crate) name: String,
    pub(crate) schema: Schema,
    /// The time limit of a call.
    pub(crate) timeout: Duration,
}

impl Server {
    /// Reads the arguments.
    ///
    /// # Errors
    /// If `url` is invalid, names no host, or requires TLS.
    pub(crate) fn new(arguments: &PostgresConfig) -> Result<Self, BackendError> {
        let mut config = parse(&arguments.url)?;
        if let Some(password) = &arguments.password {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("dogpile");
        }
        if config.get_connect_timeout().is_none() {
            // Each address gets a share of the time, so that one that does not reply leaves time for the next one.
            let addresses = config.get_hosts().len().max(config.get_hostaddrs().len());
            let shares = u32::try_from(addresses).unwrap_or(u32::MAX).saturating_add(1);
            config.connect_timeout(arguments.timeout / shares);
        }
        let name = name(&config);
        Ok(Server { config, name, schema: Schema::new(arguments), timeout: arguments.timeout })
    }

    /// Returns a name that all backends over the same tables share. It contains no password.
    pub(crate) fn scope(&self) -> String {
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        // The server may choose a schema by the user.
        format!("postgresql://{user}@{}/{database}/{}", self.name, self.schema.values)
    }

    /// Returns the server's own limit of a statement, so that it does not go on for a client that gave up.
    pub(crate) fn session_settings(&self) -> String {
        let milliseconds = self.timeout.as_millis().clamp(1, i32::MAX as u128);
        format!(
            "SET statement_timeout = {milliseconds}; SET client_min_messages = warning; \
             SET default_transaction_isolation = 'read committed'"
        )
    }
}

fn parse(url: &str) -> Result<Config, BackendError> {
    // The parser's error is not shown, because it may quote a part of a password.
    let config: Config = url.parse().map_err(|_| {
        let is_strict = url.contains("sslmode=verify");
        if is_strict { needs_tls() } else { bounds::invalid("url", "it is not a valid connection string") }
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        let why = "it names no host; use \"postgresql://USER@HOST:PORT/DATABASE\"";
        return Err(bounds::invalid("url", why));
    }
    // The parser ends a password at its first "@". The rest of it must not be taken for a host, which errors show.
    if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(host) if host.contains('@'))) {
        return Err(bounds::invalid("url", "a host contains \"@\"; write \"@\" in a password as \"%40\""));
    }
    if config.get_ssl_mode() == SslMode::Require { Err(needs_tls()) } else { Ok(config) }
}

fn needs_tls() -> BackendError {
    let why = "it requires TLS, which this backend does not support; use \"sslmode=disable\" on a network that you \
               trust, or a local proxy that adds TLS";
    bounds::invalid("url", why)
}

/// Returns the addresses of the hosts, of which the first that works is used.
fn name(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
    });
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    let names = if config.get_hosts().is_empty() { addresses.collect() } else { hosts.collect::<Vec<_>>() };
    let with_port = |(place, name): (usize, &String)| {
        let port = ports.get(place).or(ports.first()).copied().unwrap_or(PORT);
        format!("{name}:{port}")
    };
    names.iter().enumerate().map(with_port).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, BackendError> {
        let config = PostgresConfig { url: url.to_owned(), ..PostgresConfig::default() };
        Server::new(&config)
    }

    fn refused(url: &str) -> String {
        let error = server(url).unwrap_err();
        assert_eq!(error.argument(), Some("url"));
        assert!(!format!("{error:?} {error:#}").contains("s3cret"), "{error:?}");
        error.to_string()
    }

    #[test]
    fn names_and_scopes_have_no_password() {
        let shared = server("postgresql://tea:s3cret@db1,db2:6000/shop").unwrap();
        assert_eq!(shared.name, "db1:5432,db2:6000");
        assert_eq!(shared.scope(), "postgresql://tea@db1:5432,db2:6000/shop/\"dogpile_cache\"");
        assert!(!format!("{shared:?}").contains("s3cret"));
        let local = server("host=/run/postgresql user=tea password=s3cret").unwrap();
        assert_eq!(local.scope(), "postgresql://tea@/run/postgresql:5432/tea/\"dogpile_cache\"");
    }

    #[test]
    fn invalid_urls_are_refused_without_their_password() {
        let invalid = "invalid argument \"url\": it is not a valid connection string";
        assert_eq!(refused("host=db password=my s3cret"), invalid);
        assert_eq!(refused("postgresql://tea:s3cret@db:port/shop"), invalid);
        assert!(
            refused("postgresql://tea:my@s3cret@db/shop").contains("write \"@\" in a password as \"%40\"")
        );
        assert!(refused("postgresql://:s3cret@/shop").contains("it names no host"));
        assert!(refused("").contains("it names no host"));
    }

    #[test]
    fn required_tls_is_refused() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgresql://tea:s3cret@db/shop?sslmode={mode}");
            assert!(refused(&url).contains("it requires TLS, which this backend does not support"));
        }
        assert!(server("postgresql://db/shop?sslmode=prefer").is_ok());
    }
}
