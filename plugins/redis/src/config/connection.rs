//! [`ConnectionOptions`]: how to connect to a server, wherever it is.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use dogpile_sdk::{BackendError, ErrorKind};
use redis::TlsCertificates;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
};
use serde::Deserialize;

use super::{Node, refused, seconds};

/// The table `connection_kwargs` or `sentinel_kwargs`: what redis-py's connections take and has a meaning here. Times
/// are in seconds. Default of each: as for the backend's argument of the same name, if there is one.
///
/// Source: redis-py `client.py`, `Redis`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionOptions {
    /// The user of the server's access control list.
    pub username: Option<String>,
    /// The password; an empty one is none.
    pub password: Option<String>,
    /// The number of the database.
    pub db: Option<i64>,
    /// How long to wait for the server to take a command or to answer it.
    pub socket_timeout: Option<f64>,
    /// How long to wait for a connection.
    pub socket_connect_timeout: Option<f64>,
    /// Whether the system probes connections on which nothing happens.
    pub socket_keepalive: Option<bool>,
    /// When, and how often.
    pub socket_keepalive_options: Option<KeepaliveOptions>,
    /// Whether connections are encrypted.
    pub ssl: Option<bool>,
    /// A file of certificates, in PEM, one of which must have signed the server's. Default: those that the system
    /// trusts.
    pub ssl_ca_certs: Option<PathBuf>,
    /// The same as a text.
    pub ssl_ca_data: Option<String>,
    /// A file with the certificate, in PEM, that is shown to the server. Default: none.
    pub ssl_certfile: Option<PathBuf>,
    /// A file with its key, in PEM.
    pub ssl_keyfile: Option<PathBuf>,
    /// `required`, or `none`, by which anybody can pose as the server. Default: `required`.
    pub ssl_cert_reqs: Option<String>,
    /// Whether the certificate must be for the server's name. Default: yes.
    pub ssl_check_hostname: Option<bool>,
    /// The most connections at a time: `pool_size` by redis-py's name.
    pub max_connections: Option<usize>,
}

/// What TCP does on a connection on which nothing happens, in whole seconds. Default of each: the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveOptions {
    /// After how long the first probe is sent.
    #[serde(alias = "4")]
    #[serde(rename = "TCP_KEEPIDLE")]
    pub idle: Option<u64>,
    /// How long after a probe the next is sent.
    #[serde(alias = "5")]
    #[serde(rename = "TCP_KEEPINTVL")]
    pub interval: Option<u64>,
    /// How many probes may go unanswered.
    #[serde(alias = "6")]
    #[serde(rename = "TCP_KEEPCNT")]
    pub count: Option<u32>,
}

impl ConnectionOptions {
    /// These, and what only `others` say.
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

    /// The server at `node`.
    pub(crate) fn to(&self, node: &Node) -> Result<ConnectionInfo, BackendError> {
        self.completed(ConnectionAddr::Tcp(node.host.clone(), node.port), self.login())
    }

    /// The server that `url` names; what it says goes before these.
    pub(crate) fn to_url(&self, url: &str) -> Result<ConnectionInfo, BackendError> {
        // Neither the URL nor what the parser says of it is shown: it may have a password.
        let info = url.into_connection_info().map_err(|error| {
            let why = format!(
                "argument \"url\" cannot be used ({:?}); it reads redis://user:password@host:port/db, \
                 rediss://.. for TLS, or unix:///path",
                error.kind()
            );
            BackendError::new(ErrorKind::Configuration, why)
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
        let server = address.into_connection_info().map_err(crate::error::of)?;
        let server = server.set_redis_settings(login).set_tcp_settings(self.tcp_settings());
        if is_encrypted { self.encrypted(server) } else { Ok(server) }
    }

    fn tcp_settings(&self) -> TcpSettings {
        let settings = TcpSettings::default().set_nodelay(true);
        if self.socket_keepalive != Some(true) {
            return settings;
        }
        let options = self.socket_keepalive_options.unwrap_or_default();
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = options.idle {
            keepalive = keepalive.with_time(Duration::from_secs(idle));
        }
        if let Some(interval) = options.interval {
            keepalive = keepalive.with_interval(Duration::from_secs(interval));
        }
        if let Some(count) = options.count {
            keepalive = keepalive.with_retries(count);
        }
        settings.set_keepalive(keepalive)
    }

    /// `server`, over TLS, with the certificates of these options.
    fn encrypted(&self, server: ConnectionInfo) -> Result<ConnectionInfo, BackendError> {
        use_ring();
        let client_tls = match (&self.ssl_certfile, &self.ssl_keyfile) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: read("ssl_certfile", certificate)?,
                client_key: read("ssl_keyfile", key)?,
            }),
            (None, None) => None,
            _ => {
                let why = "arguments \"ssl_certfile\" and \"ssl_keyfile\" are given both or neither";
                return Err(BackendError::new(ErrorKind::Configuration, why));
            }
        };
        let root_cert = match (&self.ssl_ca_certs, &self.ssl_ca_data) {
            (Some(file), _) => Some(read("ssl_ca_certs", file)?),
            (None, text) => text.clone().map(String::into_bytes),
        };
        let certificates = TlsCertificates { client_tls, root_cert };
        let client = Client::build_with_tls(server, certificates).map_err(|error| {
            let why = "the certificates or the key for TLS cannot be used; they are texts in PEM";
            BackendError::new(ErrorKind::Configuration, why).with_source(error)
        })?;
        let server = client.get_connection_info().clone();
        let mut address = server.addr().clone();
        self.relax(&mut address)?;
        Ok(server.set_addr(address))
    }

    /// Leaves out the checks of the server's certificate that are not wanted.
    fn relax(&self, address: &mut ConnectionAddr) -> Result<(), BackendError> {
        match self.ssl_cert_reqs.as_deref() {
            None | Some("required") => {}
            Some("none") => {
                if let ConnectionAddr::TcpTls { insecure, .. } = address {
                    *insecure = true;
                }
            }
            Some(other) => {
                return Err(refused("ssl_cert_reqs", format_args!("{other:?}"), "\"required\" or \"none\""));
            }
        }
        if self.ssl_check_hostname == Some(false) {
            address.set_danger_accept_invalid_hostnames(true);
        }
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Result<Duration, BackendError> {
        seconds("socket_timeout", self.socket_timeout.unwrap_or(3.0))
    }

    pub(crate) fn connect_timeout(&self) -> Result<Duration, BackendError> {
        match self.socket_connect_timeout {
            Some(timeout) => seconds("socket_connect_timeout", timeout),
            None => self.timeout(),
        }
    }
}

impl fmt::Debug for ConnectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No password.
        f.debug_struct("ConnectionOptions")
            .field("db", &self.db)
            .field("ssl", &self.ssl)
            .finish_non_exhaustive()
    }
}

fn read(argument: &str, file: &Path) -> Result<Vec<u8>, BackendError> {
    fs::read(file).map_err(|error| {
        let why = format!("argument {argument:?}: {} cannot be read: {error}", file.display());
        BackendError::new(ErrorKind::Configuration, why).with_source(error)
    })
}

/// Has rustls use ring, unless the program has chosen.
fn use_ring() {
    // An error says that it has.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    fn settings(options: &ConnectionOptions) -> TcpSettings {
        options.to(&Node::new("h", 1)).unwrap().tcp_settings().clone()
    }

    /// Behaviour: `redis-connect-keepalive`
    #[test]
    fn connections_are_probed_if_wanted() {
        assert!(settings(&ConnectionOptions::default()).keepalive().is_none());
        let options = ConnectionOptions { socket_keepalive: Some(true), ..ConnectionOptions::default() };
        let probed = format!("{:?}", settings(&options).keepalive().unwrap());
        assert_eq!(probed, format!("{:?}", TcpKeepalive::new()));
    }

    /// Behaviour: `redis-connect-keepalive-options`
    #[test]
    fn how_connections_are_probed_is_as_given() {
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
    fn further_options_stand_beside_a_url() {
        let written = r#"{"ssl": true, "socket_timeout": 0.5}"#;
        let options: ConnectionOptions = serde_json::from_str(written).unwrap();
        let server = options.to_url("redis://there:5/2").unwrap();
        assert!(matches!(server.addr(), ConnectionAddr::TcpTls { host, port: 5, .. } if host == "there"));
        assert_eq!(options.timeout().unwrap(), Duration::from_millis(500));
        assert!(serde_json::from_str::<ConnectionOptions>(r#"{"foo": 1}"#).is_err());
    }

    #[test]
    fn a_certificate_and_its_key_come_together_and_can_be_read() {
        let ssl = ConnectionOptions { ssl: Some(true), ..ConnectionOptions::default() };
        let one = ConnectionOptions { ssl_certfile: Some("c.pem".into()), ..ssl.clone() };
        assert!(one.to(&Node::new("h", 1)).unwrap_err().to_string().contains("both or neither"));
        let absent = ConnectionOptions { ssl_ca_certs: Some("/nowhere/ca.pem".into()), ..ssl.clone() };
        assert!(absent.to(&Node::new("h", 1)).unwrap_err().to_string().contains("/nowhere/ca.pem"));
        let odd = ConnectionOptions { ssl_cert_reqs: Some("perhaps".into()), ..ssl };
        assert!(odd.to(&Node::new("h", 1)).unwrap_err().to_string().contains("required"));
    }
}
