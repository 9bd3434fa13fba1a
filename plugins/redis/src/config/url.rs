//! [`Url`]: the argument `url`, with the meaning that it has in redis-py.

// Source: redis-py `connection.py`, `parse_url`.

use dogpile_sdk::bounds::invalid;
use dogpile_sdk::{BackendError, seconds};

use super::connection::ConnectionOptions;
use super::node::{Node, is_host};
use crate::connection::Address;

/// A server, and the options that its URL contains.
pub(super) struct Url {
    pub(super) address: Address,
    /// The options, including `ssl` if the scheme has TLS.
    pub(super) options: ConnectionOptions,
}

/// The valid forms, for errors. No error repeats a URL: it may contain a password.
const FORMS: &str = "redis://user:password@host:port/db, rediss://… for TLS, or unix:///path";

/// The options that may follow the question mark.
const OPTIONS: &str = "db, username, password, socket_timeout, socket_connect_timeout, socket_keepalive, \
    max_connections, ssl_ca_certs, ssl_ca_data, ssl_certfile, ssl_keyfile, ssl_cert_reqs, or ssl_check_hostname";

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, BackendError> {
        if url.contains('#') {
            return Err(invalid("url", "it contains \"#\"; write it as %23"));
        }
        let (location, query) = url.split_once('?').unwrap_or((url, ""));
        let mut options = options(query)?;
        let address = parse_location(location, &mut options);
        let why = || invalid("url", format_args!("it is not a valid URL; expected {FORMS}"));
        Ok(Url { address: address.ok_or_else(why)?, options })
    }
}

/// Parses what comes before the question mark.
fn parse_location(location: &str, options: &mut ConnectionOptions) -> Option<Address> {
    let (scheme, rest) = location.split_once(':')?;
    match (scheme.to_ascii_lowercase().as_str(), rest.strip_prefix("//")) {
        ("redis" | "valkey", Some(rest)) => parse_tcp(rest, options),
        ("rediss" | "valkeys", Some(rest)) => {
            options.ssl = Some(true);
            parse_tcp(rest, options)
        }
        ("unix" | "redis+unix" | "valkey+unix", with_host) => parse_unix(with_host.unwrap_or(rest), options),
        _ => None,
    }
}

/// Parses `user:password@host:port/db`, all of which is optional.
fn parse_tcp(rest: &str, options: &mut ConnectionOptions) -> Option<Address> {
    let (authority, db) = rest.split_once('/').unwrap_or((rest, ""));
    let place = parse_user(authority, options)?;
    let db = decoded(db)?;
    let db = db.trim_matches('/');
    if !db.is_empty() {
        // The option `db` wins.
        options.db = options.db.or(Some(db.parse().ok()?));
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = match port.strip_prefix(':') {
        Some("") => 6379,
        Some(port) => port.parse().ok()?,
        None if port.is_empty() => 6379,
        None => return None,
    };
    let host = if host.is_empty() { "localhost".to_owned() } else { decoded(host)? };
    is_host(&host).then(|| Address::Tcp(Node::new(host, port)))
}

/// Parses `user:password@/path`.
fn parse_unix(rest: &str, options: &mut ConnectionOptions) -> Option<Address> {
    let (authority, path) = rest.split_at(rest.find('/')?);
    let host = parse_user(authority, options)?;
    (host.is_empty() && path.len() > 1).then(|| decoded(path).map(|path| Address::Unix(path.into())))?
}

/// Removes the user and the password from `authority`. They win over the options by these names.
fn parse_user<'u>(authority: &'u str, options: &mut ConnectionOptions) -> Option<&'u str> {
    let Some((user, place)) = authority.rsplit_once('@') else { return Some(authority) };
    let (username, password) = user.split_once(':').unwrap_or((user, ""));
    for (given, option) in [(username, &mut options.username), (password, &mut options.password)] {
        if !given.is_empty() {
            *option = Some(decoded(given)?);
        }
    }
    Some(place)
}

/// Parses what follows the question mark. The first one of two options with the same name wins.
fn options(query: &str) -> Result<ConnectionOptions, BackendError> {
    let mut options = ConnectionOptions::default();
    for part in query.split('&').filter(|part| !part.is_empty()).rev() {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = decoded(&value.replace('+', " "));
        set(&mut options, name, value.as_deref())?;
    }
    Ok(options)
}

/// Sets an option. An empty value counts as none.
fn set(options: &mut ConnectionOptions, name: &str, value: Option<&str>) -> Result<(), BackendError> {
    let is_valid = match name {
        "username" => put(&mut options.username, value, |text| Some(text.to_owned())),
        "password" => put(&mut options.password, value, |text| Some(text.to_owned())),
        "db" => put(&mut options.db, value, |text| text.parse().ok()),
        "socket_timeout" => put(&mut options.socket_timeout, value, |text| seconds::parse(text).ok()),
        "socket_connect_timeout" => {
            put(&mut options.socket_connect_timeout, value, |text| seconds::parse(text).ok())
        }
        "socket_keepalive" => put(&mut options.socket_keepalive, value, |text| Some(boolean(text))),
        "max_connections" => put(&mut options.max_connections, value, |text| text.parse().ok()),
        "ssl_ca_certs" => put(&mut options.ssl_ca_certs, value, |text| Some(text.into())),
        "ssl_ca_data" => put(&mut options.ssl_ca_data, value, |text| Some(text.to_owned())),
        "ssl_certfile" => put(&mut options.ssl_certfile, value, |text| Some(text.into())),
        "ssl_keyfile" => put(&mut options.ssl_keyfile, value, |text| Some(text.into())),
        "ssl_cert_reqs" => put(&mut options.ssl_cert_reqs, value, |text| Some(text.to_owned())),
        "ssl_check_hostname" => put(&mut options.ssl_check_hostname, value, |text| Some(boolean(text))),
        _ => {
            let why = format!("it has an unsupported option after \"?\"; supported are {OPTIONS}");
            return Err(invalid("url", why));
        }
    };
    if is_valid {
        Ok(())
    } else {
        Err(invalid("url", format_args!("its option \"{name}\" has an invalid value")))
    }
}

/// Sets `option` to `value`, unless it is empty. Returns whether it is valid.
fn put<T>(option: &mut Option<T>, value: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> bool {
    match value {
        None => false,
        Some("") => true,
        Some(value) => {
            *option = parse(value);
            option.is_some()
        }
    }
}

// Source: redis-py `connection.py`, `to_bool`.
fn boolean(text: &str) -> bool {
    !["0", "F", "FALSE", "N", "NO"].contains(&text.to_ascii_uppercase().as_str())
}

/// Replaces each percent sign and its two hexadecimal digits. A percent sign without them stays, as in Python.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(&[b"%", part.as_bytes()].concat()),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(url: &str) -> (String, ConnectionOptions) {
        let url = Url::parse(url).unwrap();
        (url.address.to_string(), url.options)
    }

    #[test]
    fn location_has_host_port_login_and_database() {
        let locations = [
            ("redis://", "localhost:6379", None, None, None),
            ("redis://there", "there:6379", None, None, None),
            ("REDIS://there:5/2", "there:5", None, None, Some(2)),
            ("redis://u:p@there:5/2", "there:5", Some("u"), Some("p"), Some(2)),
            ("redis://:p%40%3a+@there/", "there:6379", None, Some("p@:+"), None),
            ("redis://u@[::1]:7", "[::1]:7", Some("u"), None, None),
            ("valkey://h", "h:6379", None, None, None),
            ("unix:///run/a%20b", "/run/a b", None, None, None),
            ("unix://u:p@/run/r", "/run/r", Some("u"), Some("p"), None),
            ("unix:/run/r", "/run/r", None, None, None),
        ];
        for (url, address, username, password, db) in locations {
            let (found, options) = parsed(url);
            assert_eq!((found.as_str(), options.db, options.ssl), (address, db, None), "{url}");
            assert_eq!(
                (options.username.as_deref(), options.password.as_deref()),
                (username, password),
                "{url}"
            );
        }
        assert_eq!(parsed("rediss://h").1.ssl, Some(true));
    }

    #[test]
    fn options_of_a_url_are_honored_as_in_python() {
        let url = "redis://h/1?db=2&password=p%26q&username=u&socket_timeout=0.5&socket_connect_timeout=2\
            &socket_keepalive=no&max_connections=7&ssl_check_hostname=1&ssl_cert_reqs=&ssl_ca_certs=/ca.pem&db=3";
        let expected = ConnectionOptions {
            db: Some(2),
            username: Some("u".into()),
            password: Some("p&q".into()),
            socket_timeout: Some(Duration::from_millis(500)),
            socket_connect_timeout: Some(Duration::from_secs(2)),
            socket_keepalive: Some(false),
            max_connections: Some(7),
            ssl_check_hostname: Some(true),
            ssl_ca_certs: Some("/ca.pem".into()),
            ..ConnectionOptions::default()
        };
        assert!(parsed(url).1 == expected);
        assert_eq!(parsed("redis://:a@h?password=b").1.password.as_deref(), Some("a"));
        assert_eq!(parsed("unix:///path?db=4").1.db, Some(4));
    }

    #[test]
    fn invalid_url_is_refused_and_not_repeated() {
        let invalid = [
            "hunter2",
            "hunter2@there",
            "http://u:hunter2@there",
            "redis:hunter2",
            "redis://u:hunter2@there:no",
            "redis://u:hunter2@there:5x/0",
            "redis://u:hunter2@there/no",
            "redis://u:hunter2@[::1",
            "redis://u:hunter2@there#/0",
            "redis://u:hunter2/@there",
            "redis://there?hunter2",
            "redis://there?client_name=hunter2",
            "redis://there?db=hunter2",
            "redis://there?password=hunter2%ff",
            "redis://there?socket_timeout=hunter2",
            "unix://hunter2/path",
            "unix:///",
        ];
        for url in invalid {
            let error = Url::parse(url).err().unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            assert_eq!(error.argument(), Some("url"));
        }
    }
}
