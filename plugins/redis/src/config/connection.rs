//! [`ConnectionOptions`]: the options of connections to any server.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use dogpile_net::{Checks, Keepalive, Tls};
use dogpile_sdk::bounds::{between, invalid, timeout};
use dogpile_sdk::{BackendError, seconds};
use serde::Deserialize;

use crate::connection::{Login, Profile};

/// The table `connection_kwargs` or `sentinel_kwargs`, with the names of redis-py.
///
/// The default of an option is that of the backend's argument with the same name, if there is one.
// Source: redis-py `client.py`, `Redis`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// User name for the server. Default: the backend's argument; for sentinels, none if only the servers have TLS.
    pub username: Option<String>,
    /// Password for the server. An empty one means none. Default: the backend's argument; for sentinels, none if only the
    /// servers have TLS.
    pub password: Option<String>,
    /// Database number. Default: the backend's argument. Sentinels have none.
    pub db: Option<i64>,
    /// Time limit for an exchange with the servers. It includes connecting, waiting for a pooled connection, and a
    /// retry. Default: the backend's argument.
    #[serde(with = "seconds")]
    pub socket_timeout: Option<Duration>,
    /// Time limit for opening a connection. Default: the backend's argument.
    #[serde(with = "seconds")]
    pub socket_connect_timeout: Option<Duration>,
    /// Probe idle connections with TCP keepalive. Default: the backend's argument; for sentinels, false.
    pub socket_keepalive: Option<bool>,
    /// TCP keepalive settings. Default: the backend's argument; for sentinels, the settings of the system.
    pub socket_keepalive_options: Option<KeepaliveOptions>,
    /// Encrypt connections with TLS. Default: the backend's argument; for sentinels, false.
    pub ssl: Option<bool>,
    /// File with the certificates of the trusted authorities, in PEM. Default: the authorities of the system.
    pub ssl_ca_certs: Option<PathBuf>,
    /// Certificates of the trusted authorities, in PEM. `ssl_ca_certs` overrides it. Default: none.
    pub ssl_ca_data: Option<String>,
    /// File with the certificate that is presented to the server, in PEM. Default: none.
    pub ssl_certfile: Option<PathBuf>,
    /// File with the key of `ssl_certfile`, in PEM. Default: none.
    pub ssl_keyfile: Option<PathBuf>,
    /// `required`, or `none`, which accepts any server. Default: `required`.
    pub ssl_cert_reqs: Option<String>,
    /// Require the server's certificate to be for its host name. Default: true.
    pub ssl_check_hostname: Option<bool>,
    /// Most connections to a server at a time: redis-py's name for `pool_size`. Default: `pool_size`.
    pub max_connections: Option<usize>,
}

/// TCP keepalive settings. Times are at least a second. Default of each: the setting of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeepaliveOptions {
    /// Idle time before the first probe. Default: the setting of the system.
    #[serde(alias = "4", rename = "TCP_KEEPIDLE", with = "seconds")]
    pub idle: Option<Duration>,
    /// Time between two probes. Default: the setting of the system.
    #[serde(alias = "5", rename = "TCP_KEEPINTVL", with = "seconds")]
    pub interval: Option<Duration>,
    /// Number of lost probes after which the connection is closed. Default: the setting of the system.
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

    /// Returns how to connect with these options, over TCP or to a `unix` socket.
    pub(crate) fn profile(&self, is_unix: bool) -> Result<Profile, BackendError> {
        let is_encrypted = self.ssl == Some(true);
        if is_encrypted && is_unix {
            return Err(invalid("ssl", "a unix socket has no TLS; remove it"));
        }
        if !is_encrypted && let Some(option) = self.tls_option() {
            return Err(invalid(
                option,
                "connections are not encrypted; set \"ssl\", or use a URL with rediss://",
            ));
        }
        let tls = if is_encrypted { Some(self.tls()?) } else { None };
        Ok(Profile { login: self.login()?, tls, keepalive: self.keepalive()? })
    }

    fn login(&self) -> Result<Login, BackendError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let db = self.db.unwrap_or(0);
        let db = u32::try_from(db).map_err(|_| {
            let why = format!("{db} is not a valid database number; use 0 or more");
            invalid("db", why)
        })?;
        Ok(Login { username: given(&self.username), password: given(&self.password), db })
    }

    /// Returns the name of an option that only TLS has, if one is set.
    fn tls_option(&self) -> Option<&'static str> {
        let options = [
            ("ssl_ca_certs", self.ssl_ca_certs.is_some()),
            ("ssl_ca_data", self.ssl_ca_data.is_some()),
            ("ssl_certfile", self.ssl_certfile.is_some()),
            ("ssl_keyfile", self.ssl_keyfile.is_some()),
            ("ssl_cert_reqs", self.ssl_cert_reqs.is_some()),
            ("ssl_check_hostname", self.ssl_check_hostname.is_some()),
        ];
        options.into_iter().find_map(|(name, is_set)| is_set.then_some(name))
    }

    fn keepalive(&self) -> Result<Option<Keepalive>, BackendError> {
        let options = self.socket_keepalive_options.unwrap_or_default();
        let probes = options.probes()?;
        Ok((self.socket_keepalive == Some(true)).then_some(probes))
    }

    /// Returns the settings of TLS.
    fn tls(&self) -> Result<Tls, BackendError> {
        let client = match (&self.ssl_certfile, &self.ssl_keyfile) {
            (Some(certificate), Some(key)) => {
                Some((read("ssl_certfile", certificate)?, read("ssl_keyfile", key)?))
            }
            (None, None) => None,
            _ => {
                let why = "only one of \"ssl_certfile\" and \"ssl_keyfile\" is set; set both or neither";
                return Err(invalid("ssl_certfile", why));
            }
        };
        let authorities = match (&self.ssl_ca_certs, &self.ssl_ca_data) {
            (Some(file), _) => Some(read("ssl_ca_certs", file)?),
            (None, text) => text.clone().map(String::into_bytes),
        };
        let client = client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        Tls::new(authorities.as_deref(), client, self.checks()?).map_err(|why| {
            let why = format!("a certificate or key for TLS is not valid: {why}; use the PEM format");
            invalid("connection_kwargs", why)
        })
    }

    /// Returns how the server's certificate is checked.
    fn checks(&self) -> Result<Checks, BackendError> {
        match self.ssl_cert_reqs.as_deref() {
            Some("none") => Ok(Checks::None),
            None | Some("required") if self.ssl_check_hostname == Some(false) => Ok(Checks::Authority),
            None | Some("required") => Ok(Checks::Full),
            Some(other) => {
                let why = format!("{other:?} is not a valid value; use \"required\" or \"none\"");
                Err(invalid("ssl_cert_reqs", why))
            }
        }
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
        let why = format!("cannot read {}; check the path and its permissions", file.display());
        invalid(argument, why).with_source(error)
    })
}

impl KeepaliveOptions {
    fn probes(self) -> Result<Keepalive, BackendError> {
        let argument = "socket_keepalive_options";
        let time = |given: Option<Duration>| {
            given.map(|given| between(argument, given, Keepalive::SHORTEST, Keepalive::LONGEST)).transpose()
        };
        if let Some(count) = self.count
            && !(1..=Keepalive::MOST).contains(&count)
        {
            let why = format!("{count} is not a valid number of probes; use 1 to {}", Keepalive::MOST);
            return Err(invalid(argument, why));
        }
        Ok(Keepalive { idle: time(self.idle)?, interval: time(self.interval)?, count: self.count })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn probes(options: &ConnectionOptions) -> Option<Keepalive> {
        options.profile(false).unwrap().keepalive
    }

    /// Behavior: `redis-connect-keepalive`
    #[test]
    fn keepalive_is_off_unless_enabled() {
        assert_eq!(probes(&ConnectionOptions::default()), None);
        let options = ConnectionOptions { socket_keepalive: Some(true), ..ConnectionOptions::default() };
        assert_eq!(probes(&options), Some(Keepalive::default()));
    }

    /// Behavior: `redis-connect-keepalive-options`
    #[test]
    fn keepalive_settings_are_as_configured() {
        let written =
            r#"{"socket_keepalive": true, "socket_keepalive_options": {"TCP_KEEPIDLE": 60, "5": 10}}"#;
        let options: ConnectionOptions = serde_json::from_str(written).unwrap();
        let (idle, interval) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(10)));
        assert_eq!(probes(&options), Some(Keepalive { idle, interval, count: None }));
        let unused = ConnectionOptions { socket_keepalive: None, ..options };
        assert_eq!(probes(&unused), None);
        for odd in [r#"{"TCP_KEEPCNT": 128}"#, r#"{"TCP_KEEPCNT": 0}"#, r#"{"4": 32768}"#, r#"{"5": 0.5}"#] {
            let odd = format!(r#"{{"socket_keepalive": true, "socket_keepalive_options": {odd}}}"#);
            let options: ConnectionOptions = serde_json::from_str(&odd).unwrap();
            assert!(options.profile(false).is_err(), "{odd}");
        }
    }

    #[test]
    fn unknown_option_is_refused() {
        assert!(serde_json::from_str::<ConnectionOptions>(r#"{"foo": 1}"#).is_err());
    }

    fn refused(options: &ConnectionOptions) -> String {
        options.profile(false).unwrap_err().to_string()
    }

    #[test]
    fn invalid_certificate_options_are_refused() {
        let ssl = ConnectionOptions { ssl: Some(true), ..ConnectionOptions::default() };
        let one = ConnectionOptions { ssl_certfile: Some("c.pem".into()), ..ssl.clone() };
        assert!(refused(&one).contains("both or neither"));
        let absent = ConnectionOptions { ssl_ca_certs: Some("/nowhere/ca.pem".into()), ..ssl.clone() };
        assert!(refused(&absent).contains("/nowhere/ca.pem"));
        let empty = ConnectionOptions { ssl_ca_data: Some("text".into()), ..ssl.clone() };
        assert!(refused(&empty).contains("there is no certificate of a trusted authority"));
        let odd = ConnectionOptions { ssl_cert_reqs: Some("perhaps".into()), ..ssl.clone() };
        assert!(refused(&odd).contains("required"));
        assert!(ssl.profile(true).unwrap_err().to_string().contains("a unix socket has no TLS"));
    }

    #[test]
    fn tls_option_without_tls_is_refused() {
        let options = [
            r#"{"ssl_ca_certs": "/ca.pem"}"#,
            r#"{"ssl_ca_data": "text"}"#,
            r#"{"ssl_certfile": "/c.pem"}"#,
            r#"{"ssl_keyfile": "/k.pem"}"#,
            r#"{"ssl_cert_reqs": "none"}"#,
            r#"{"ssl_check_hostname": false}"#,
        ];
        for written in options {
            let options: ConnectionOptions = serde_json::from_str(written).unwrap();
            let error = refused(&options);
            assert!(error.contains("connections are not encrypted; set \"ssl\""), "{error}");
            assert!(refused(&ConnectionOptions { ssl: Some(false), ..options }).contains("not encrypted"));
        }
    }

    #[test]
    fn negative_database_is_refused() {
        let options = ConnectionOptions { db: Some(-1), ..ConnectionOptions::default() };
        assert!(refused(&options).contains("-1 is not a valid database number"));
    }
}
