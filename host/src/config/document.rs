//! The tables of a configuration document.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{Arguments, seconds};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::names::names;
use crate::expiration::Expiration;
use crate::outage::BreakerConfig;
use crate::policy::Lifetimes;
use crate::region::{
    BackendChoice, CreatorTimeout, FailSafe, Jitter, OnBackendFailure, OnCreatorFailure, OnStale, Preset,
    RegionConfig, Share, Wrap,
};
use crate::registry::{NamePattern, Pin, Registry, ReservedName};
use crate::statistics_socket::{SocketPath, StatisticsSocket};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) plugins: PluginsTable,
    #[serde(default)]
    pub(super) regions: BTreeMap<Spanned<String>, RegionTable>,
    #[serde(default)]
    pub(super) statistics: StatisticsTable,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PluginsTable {
    /// The folders to search. Relative paths start at the folder of the document. Default: none.
    pub(super) path: Vec<PathBuf>,
    /// The only names that may be used. Default: all.
    pub(super) allow: Option<Vec<NamePattern>>,
    /// The names that may not be used. Default: none.
    pub(super) deny: Vec<NamePattern>,
    /// The names beginning with `dogpile.` that plugin libraries may provide. A pinned library may provide any. Default: none.
    pub(super) reserved: Vec<ReservedName>,
    /// The required SHA-256 of each library. If any is set, libraries without one are not opened. Default: none.
    pub(super) pins: BTreeMap<String, Pin>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StatisticsTable {
    /// The unix socket on which `dogpile top` shows the regions of the document. Default: none.
    ///
    /// Only the user of the process can connect. A relative path starts at the folder of the document. `{pid}` in it stands for
    /// the process ID: each process then has a socket of its own. With a socket, regions keep statistics by default.
    pub(super) socket: Option<Spanned<SocketPath>>,
}

/// A `[regions.NAME]` table.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionTable {
    backend: String,
    #[serde(default)]
    arguments: Arguments,
    expiration_time: Option<Expiration>,
    key_mangler: Option<String>,
    serializer: Option<String>,
    mangle_invalid_keys: Option<bool>,
    #[serde(default, with = "seconds")]
    creation_wait_timeout: Option<Duration>,
    on_creator_failure: Option<OnCreatorFailure>,
    on_backend_failure: Option<OnBackendFailure>,
    breaker: Option<BreakerConfig>,
    preset: Option<Preset>,
    jitter: Option<Jitter>,
    early_refresh: Option<Share>,
    max_stale: Option<Expiration>,
    stale: Option<OnStale>,
    fail_safe: Option<FailSafe>,
    creator_timeout: Option<CreatorTimeout>,
    statistics: Option<bool>,
    wrap: Option<WrapList>,
}

/// The proxies, the outermost first: a list, or a string of names as in an ini file.
#[derive(Clone, Debug)]
struct WrapList(Vec<WrapItem>);

impl<'de> Deserialize<'de> for WrapList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrapVisitor)
    }
}

struct WrapVisitor;

impl<'de> Visitor<'de> for WrapVisitor {
    type Value = WrapList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a proxy, or a list of proxies")
    }

    fn visit_str<E: de::Error>(self, list: &str) -> Result<WrapList, E> {
        Ok(WrapList(names(list).map(|name| WrapItem::Name(name.to_owned())).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WrapList, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(WrapList(items))
    }
}

/// A proxy, given as its name or as a table with its name and arguments.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(untagged, expecting = "expected the name of a proxy, or a table of `name` and `arguments`")]
enum WrapItem {
    Name(String),
    Table(WrapTable),
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrapTable {
    name: String,
    #[serde(default)]
    arguments: Arguments,
}

impl RegionTable {
    /// Returns the configuration of the region, whose entry points are those of `registry`. `socket` shows its statistics.
    pub(super) fn config(&self, registry: &Registry, socket: Option<Arc<StatisticsSocket>>) -> RegionConfig {
        let backend = BackendChoice::Named { name: self.backend.clone(), arguments: self.arguments.clone() };
        let mut config = RegionConfig::default().with_backend(backend).registry(registry.clone());
        config.settings.expiration_time = self.expiration_time;
        config.settings.mangle_invalid_keys = self.mangle_invalid_keys;
        config.settings.creation_wait_timeout = self.creation_wait_timeout;
        config.settings.on_creator_failure = self.on_creator_failure;
        config.settings.on_backend_failure = self.on_backend_failure;
        config.settings.breaker = self.breaker;
        config.settings.preset = self.preset;
        config.settings.statistics = self.statistics.or(socket.is_some().then_some(true));
        config.settings.statistics_socket = socket;
        config.settings.lifetimes = Lifetimes {
            jitter: self.jitter,
            early_refresh: self.early_refresh,
            max_stale: self.max_stale,
            stale: self.stale,
            fail_safe: self.fail_safe,
            creator_timeout: self.creator_timeout,
        };
        if let Some(name) = &self.key_mangler {
            config = config.key_mangler_named(name);
        }
        if let Some(name) = &self.serializer {
            config = config.serializer_named(name);
        }
        for item in self.wrap.iter().flat_map(|WrapList(items)| items) {
            let (name, arguments) = match item.clone() {
                WrapItem::Name(name) => (name, Arguments::default()),
                WrapItem::Table(WrapTable { name, arguments }) => (name, arguments),
            };
            config = config.push(Wrap::Named { name, arguments });
        }
        config
    }
}
