//! [`ConnectionOptions`]: the options of connections to any server.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use dogpile_sdk::{BackendError, seconds};
use redis::TlsCertificates;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
};
use serde::Deserialize;

use super::argument::{at_least, invalid, timeout};
use super::node::Node;

/// The table `connection_kwargs` or `sentinel_kwargs`, with the names of redis-py.
///
/// The default of an option is that of the backend's argument with the same name, if there is one.
// Source: redis-py `client.py`, `Redis`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// User name for the server.
    pub username: Option<String>,
    /// Password for the server. An empty one means none.
    pub password: Option<String>,
    /// Database number.
    pub db: Option<i64>,
    /// Time limit for sending a command, for receiving a reply, and for getting a pooled connection.
    #[serde(with = "seconds")]
    pub socket_timeout: Option<Duration>,
    /// Time limit for opening a connection.
    #[serde(with = "seconds")]
    pub socket_connect_timeout: Option<Duration>,
    /// Probe idle connections with TCP keepalive.
    pub socket_keepalive: Option<bool>,
    /// TCP keepalive settings.
    pub socket_keepalive_options: Option<KeepaliveOptions>,
    /// Encrypt connections with TLS.
    pub ssl: Option<bool>,
    /// File with the certificates of the trusted authorities, in PEM. Default: the authorities of the system.
    pub ssl_ca_certs: Option<PathBuf>,
    /// Certificates of the trusted authorities, in PEM. `ssl_ca_certs` overrides it.
    pub ssl_ca_data: Option<String>,
    /// File with the certificate that is presented to the server, in PEM. Default: none.
    pub ssl_certfile: Option<PathBuf>,
    /// File with the key of `ssl_certfile`, in PEM.
    pub ssl_keyfile: Option<PathBuf>,
    /// `required`, or `none`, which accepts any server. Default: `required`.
    pub ssl_cert_reqs: Option<String>,
    /// Require the server's certificate to be for its host name. Default: true.
    pub ssl_check_hostname: Option<bool>,
    /// Most connections to a server at a time: redis-py's name for `pool_size`.
    pub max_connections: Option<usize>,
}

/// TCP keepalive settings. Times are at least a second. Default of each: the setting of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeepaliveOptions {
    /// Idle time before the first probe.
    #[serde(alias = "4", rename = "TCP_KEEPIDLE", with = "seconds")]
    pub idle: Option<Duration>,
    /// Time between two probes.
    #[serde(alias = "5", rename = "TCP_KEEPINTVL", with = "seconds")]
    pub interval: Option<Duration>,
    /// Number of lost probes after which the connection is closed.
    #[serde(alias = "6", rename = "TCP_KEEPCNT")]
    pub count: Option<u32>,
}

impl ConnectionOptions {
    /// Fills in the options that are not set from `others`.
    pub(crate) fn or(self, others: Self) -> Self {
        ConnectionOptions {
            username: self.username.or(others.username),
            password: self.password.or(others.password),
            db: self.db.or(others.db),
            socket_timeout: self.socket_timeout.or(others.socket_timeout),
            socket_connect_timeout: self.socket_connect_timeout.or(others.socket_connect_timeout),
            socket_keepalive: self.socket_keepalive.or(others.socket_keepalive),
            socket_keepalive_options: self.socket_keepalive_options.or(others.socket_keepalive_options),
            ssl: self.ssl.or(others.ssl),
            ssl_ca_certs: self.ssl_ca_certs.or(others.ssl_ca_certs),
            ssl_ca_data: self.ssl_ca_data.or(others.ssl_ca_data),
            ssl_certfile: self.ssl_certfile.or(others.ssl_certfile),
            ssl_keyfile: self.ssl_keyfile.or(others.ssl_keyfile),
            ssl_cert_reqs: self.ssl_cert_reqs.or(others.ssl_cert_reqs),
            ssl_check_hostname: self.ssl_check_hostname.or(others.ssl_check_hostname),
            max_connections: self.max_connections.or(others.max_connections),
        }
    }

    /// Returns the server at `node` with these options.
    pub(crate) fn to(&self, node: &Node) -> Result<ConnectionInfo, BackendError> {
        self.completed(ConnectionAddr::Tcp(node.host.clone(), node.port), self.login())
    }

    /// Returns the server at `url` with these options, which `url` overrides.
    pub(crate) fn to_url(&self, url: &str) -> Result<ConnectionInfo, BackendError> {
        // Show neither the URL nor the parser's message: both may contain a password.
        let info = url.into_connection_info().map_err(|_| {
            let expected = "redis://user:password@host:port/db, rediss://… for TLS, or unix:///path";
            invalid("url", format_args!("it is not a valid URL; expected {expected}"))
        })?;
        self.completed(info.addr().clone(), info.redis_settings().clone())
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.db.unwrap_or(0));
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(username) = given(&self.username) {
            login = login.set_username(username);
        }
        if let Some(password) = given(&self.password) {
            login = login.set_password(password);
        }
        login
    }

    fn completed(
        &self,
        address: ConnectionAddr,
        login: RedisConnectionInfo,
    ) -> Result<ConnectionInfo, BackendError> {
        let address = match address {
            ConnectionAddr::Tcp(host, port) if self.ssl == Some(true) => {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }
            address => address,
        };
        let is_encrypted = matches!(address, ConnectionAddr::TcpTls { .. });
        let invalid_address = |error| invalid("url", "it is not a valid address").with_source(error);
        let server: ConnectionInfo = address.into_connection_info().map_err(invalid_address)?;
        let server = server.set_redis_settings(login).set_tcp_settings(self.tcp_settings()?);
        if is_encrypted { self.encrypted(server) } else { Ok(server) }
    }

    fn tcp_settings(&self) -> Result<TcpSettings, BackendError> {
        let settings = TcpSettings::default().set_nodelay(true);
        if self.socket_keepalive != Some(true) {
            return Ok(settings);
        }
        let time = |given| at_least("socket_keepalive_options", given, Duration::from_secs(1));
        let options = self.socket_keepalive_options.unwrap_or_default();
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = options.idle {
            keepalive = keepalive.with_time(time(idle)?);
        }
        if let Some(interval) = options.interval {
            keepalive = keepalive.with_interval(time(interval)?);
        }
        if let Some(count) = options.count {
            keepalive = keepalive.with_retries(count);
        }
        Ok(settings.set_keepalive(keepalive))
    }

    /// Adds TLS with the certificates of these options to `server`.
    fn encrypted(&self, server: ConnectionInfo) -> Result<ConnectionInfo, BackendError> {
        use_ring();
        let client_tls = match (&self.ssl_certfile, &self.ssl_keyfile) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: read("ssl_certfile", certificate)?,
                client_key: read("ssl_keyfile", key)?,
            }),
            (None, None) => None,
            _ => {
                let why = "only one of \"ssl_certfile\" and \"ssl_keyfile\" is set; set both or neither";
                return Err(invalid("ssl_certfile", why));
            }
        };
        let root_cert = match (&self.ssl_ca_certs, &self.ssl_ca_data) {
            (Some(file), _) => Some(read("ssl_ca_certs", file)?),
            (None, text) => text.clone().map(String::into_bytes),
        };
        let certificates = TlsCertificates { client_tls, root_cert };
        let client = Client::build_with_tls(server, certificates).map_err(|error| {
            let why = "a certificate or key for TLS is not valid; use the PEM format";
            invalid("connection_kwargs", why).with_source(error)
        })?;
        let server = client.get_connection_info().clone();
        let mut address = server.addr().clone();
        self.relax(&mut address)?;
        Ok(server.set_addr(address))
    }

    /// Turns off the checks of the server's certificate that the options disable.
    fn relax(&self, address: &mut ConnectionAddr) -> Result<(), BackendError> {
        match self.ssl_cert_reqs.as_deref() {
            None | Some("required") => {}
            Some("none") => {
                if let ConnectionAddr::TcpTls { insecure, .. } = address {
                    *insecure = true;
                }
            }
            Some(other) => {
                let why = format_args!("{other:?} is not a valid value; use \"required\" or \"none\"");
                return Err(invalid("ssl_cert_reqs", why));
            }
        }
        if self.ssl_check_hostname == Some(false) {
            address.set_danger_accept_invalid_hostnames(true);
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Result<Duration, BackendError> {
        timeout("socket_timeout", self.socket_timeout.unwrap_or(Duration::from_secs(3)))
    }

    pub(crate) fn connect_timeout(&self) -> Result<Duration, BackendError> {
        match self.socket_connect_timeout {
            Some(given) => timeout("socket_connect_timeout", given),
            None => self.timeout(),
        }
    }
}

impl fmt::Debug for ConnectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Leave out the password.
        f.debug_struct("ConnectionOptions")
            .field("db", &self.db)
            .field("ssl", &self.ssl)
            .finish_non_exhaustive()
    }
}

fn read(argument: &str, file: &Path) -> Result<Vec<u8>, BackendError> {
    fs::read(file).map_err(|error| {
        let why = format_args!("cannot read {}; check the path and its permissions", file.display());
        invalid(argument, why).with_source(error)
    })
}

/// Makes rustls use ring, unless the program has chosen a provider.
fn use_ring() {
    // An error means that it has.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn settings(options: &ConnectionOptions) -> TcpSettings {
        options.to(&Node::new("h", 1)).unwrap().tcp_settings().clone()
    }

    /// Behaviour: `redis-connect-keepalive`
    #[test]
    fn keepalive_is_off_unless_enabled() {
        assert!(settings(&ConnectionOptions::default()).keepalive().is_none());
        let options = ConnectionOptions { socket_keepalive: Some(true), ..ConnectionOptions::default() };
        let probed = format!("{:?}", settings(&options).keepalive().unwrap());
        assert_eq!(probed, format!("{:?}", TcpKeepalive::new()));
    }

    /// Behaviour: `redis-connect-keepalive-options`
    #[test]
    fn keepalive_settings_are_as_configured() {
        let written =
            r#"{"socket_keepalive": true, "socket_keepalive_options": {"TCP_KEEPIDLE": 60, "5": 10}}"#;
        let options: ConnectionOptions = serde_json::from_str(written).unwrap();
        let asked = TcpKeepalive::new().with_time(Duration::from_secs(60));
        let asked = asked.with_interval(Duration::from_secs(10));
        assert_eq!(format!("{:?}", settings(&options).keepalive().unwrap()), format!("{asked:?}"));
        let unused = ConnectionOptions { socket_keepalive: None, ..options };
        assert!(settings(&unused).keepalive().is_none());
    }

    /// Behaviour: `redis-connect-extra-kwargs`
    #[test]
    fn options_complete_a_url() {
        let written = r#"{"ssl": true, "socket_timeout": 0.5}"#;
        let options: ConnectionOptions = serde_json::from_str(written).unwrap();
        let server = options.to_url("redis://there:5/2").unwrap();
        assert!(matches!(server.addr(), ConnectionAddr::TcpTls { host, port: 5, .. } if host == "there"));
        assert_eq!(options.timeout().unwrap(), Duration::from_millis(500));
        assert!(serde_json::from_str::<ConnectionOptions>(r#"{"foo": 1}"#).is_err());
    }

    #[test]
    fn invalid_certificate_options_are_refused() {
        let ssl = ConnectionOptions { ssl: Some(true), ..ConnectionOptions::default() };
        let one = ConnectionOptions { ssl_certfile: Some("c.pem".into()), ..ssl.clone() };
        assert!(one.to(&Node::new("h", 1)).unwrap_err().to_string().contains("both or neither"));
        let absent = ConnectionOptions { ssl_ca_certs: Some("/nowhere/ca.pem".into()), ..ssl.clone() };
        assert!(absent.to(&Node::new("h", 1)).unwrap_err().to_string().contains("/nowhere/ca.pem"));
        let odd = ConnectionOptions { ssl_cert_reqs: Some("perhaps".into()), ..ssl };
        assert!(odd.to(&Node::new("h", 1)).unwrap_err().to_string().contains("required"));
    }
}
