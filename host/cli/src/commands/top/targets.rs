//! [`Targets`]: the processes and servers that are shown.

use dogpile::Registry;
use dogpile::sdk::Arguments;
use toml::{Table, Value};

use super::server::Server;
use super::sockets::Sockets;
use crate::arguments::Top;
use crate::error::{CommandError, causes};
use crate::servers::Servers;
use crate::workplace;

/// The backends whose servers are asked. Those of plugin libraries are not: their code would have to run in this process.
const WITH_SERVERS: [&str; 6] = [
    "dogpile.cache.redis",
    "dogpile.cache.valkey",
    "dogpile.cache.memcached",
    "dogpile.cache.pymemcache",
    "dogpile.cache.pylibmc",
    "dogpile.cache.bmemcached",
];

/// The processes and servers that are shown.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) sockets: Sockets,
    pub(super) servers: Vec<Server>,
    /// Why the servers of a region are not shown.
    pub(super) problems: Vec<String>,
}

impl Targets {
    /// Returns the targets of the command line.
    ///
    /// # Errors
    /// If there is nothing to show, or the configuration is invalid.
    pub(super) fn of(asked: &Top) -> Result<Self, CommandError> {
        if !asked.connect.is_empty() {
            let sockets = Sockets::new(asked.connect.clone());
            return Ok(Targets { sockets, servers: Vec::new(), problems: Vec::new() });
        }
        let path = &asked.config;
        let sockets =
            Sockets::new(workplace::of_application(path)?.statistics_socket().into_iter().collect());
        let document: Table = toml::from_str(&workplace::read_configuration(path)?).unwrap_or_default();
        let (mut servers, mut problems) = (Vec::new(), Vec::new());
        for (name, region) in document.get("regions").and_then(Value::as_table).into_iter().flatten() {
            match servers_of(region) {
                Ok(found) => servers.extend(found),
                Err(error) => problems.push(format!("region {name}: {}", causes(&error).join(": "))),
            }
        }
        servers.sort();
        servers.dedup_by(|one, other| one.address == other.address && one.kind == other.kind);
        if sockets.is_empty() && servers.is_empty() && problems.is_empty() {
            return Err(CommandError::other(format!(
                "there is nothing to show: {path:?} has no [statistics] socket and no region with a server; add \
                 socket = \"/run/app/dogpile-{{pid}}.sock\" to a table [statistics], or name sockets with --connect"
            )));
        }
        Ok(Targets { sockets, servers, problems })
    }
}

/// Returns the servers of the backend of a region.
fn servers_of(region: &Value) -> Result<Vec<Server>, CommandError> {
    let backend = region.get("backend").and_then(Value::as_str).unwrap_or_default();
    if !WITH_SERVERS
        .iter()
        .any(|name| backend.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
    {
        return Ok(Vec::new());
    }
    let arguments = region.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
    let built = Registry::global().build_backend(backend, Arguments::from_serialize(&arguments)?)?;
    let scope = built.capabilities().scope;
    let Some(servers) = scope.as_deref().and_then(|scope| Servers::of(scope, &arguments)) else {
        return Ok(Vec::new());
    };
    let login = match scope.is_some_and(|scope| scope.starts_with("redis-sentinel:")) {
        true => arguments.get("sentinel_kwargs").and_then(Value::as_table).and_then(login),
        false => login(&arguments),
    };
    let Servers { kind, addresses, uses_tls } = servers;
    let server = |address| Server { kind, address, uses_tls, login: login.clone() };
    Ok(addresses.into_iter().map(server).collect())
}

/// Returns the user and the password in the arguments of a backend.
fn login(arguments: &Table) -> Option<(Option<String>, String)> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
    let of_url = || {
        let url = text("url")?;
        let (_, rest) = url.split_once("://")?;
        let (user_info, _) = rest.split('/').next()?.rsplit_once('@')?;
        let (user, password) = user_info.split_once(':')?;
        Some(((!user.is_empty()).then(|| decoded(user)), decoded(password)))
    };
    let of_options = || login(arguments.get("connection_kwargs")?.as_table()?);
    of_url().or_else(|| Some((text("username"), text("password")?))).or_else(of_options)
}

/// Returns `text` with its percent-encoded bytes decoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(region: &str) -> Vec<Server> {
        servers_of(&Value::Table(toml::from_str(region).unwrap())).unwrap()
    }

    #[test]
    fn servers_are_those_of_the_backend() {
        let found = of("backend = 'dogpile.cache.redis'\narguments = { host = 'db', password = 'p' }");
        assert_eq!((found.len(), &*found[0].address), (1, "db:6379"));
        assert_eq!(found[0].login, Some((None, "p".to_owned())));
        let found = of("backend = 'dogpile.cache.memcached'\narguments = { url = ['a:1', 'b:2'] }");
        assert_eq!(found.iter().map(|server| &*server.address).collect::<Vec<_>>(), ["a:1", "b:2"]);
        assert_eq!(of("backend = 'dogpile.cache.memory'"), []);
        assert_eq!(of("backend = 'dogpile.cache.redistribution'"), []);
    }

    #[test]
    fn password_of_a_url_is_decoded() {
        let of = |arguments: &str| login(&toml::from_str(arguments).unwrap());
        let some = |user: Option<&str>, password: &str| Some((user.map(str::to_owned), password.to_owned()));
        assert_eq!(of("url = 'redis://ann:p%40s%2fs@db:1/0'"), some(Some("ann"), "p@s/s"));
        assert_eq!(of("url = 'redis://:p@db'"), some(None, "p"));
        assert_eq!(of("url = 'redis://db'\npassword = 'p'\nusername = 'u'"), some(Some("u"), "p"));
        assert_eq!(of("connection_kwargs = { password = 'p' }"), some(None, "p"));
        assert_eq!((of("url = 'redis://db'"), decoded("100%")), (None, "100%".to_owned()));
    }
}
