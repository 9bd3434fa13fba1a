//! [`Settings`]: the settings of a region that its explanation is about.

use std::time::Duration;

use dogpile::Expiration;
use dogpile::sdk::seconds;
use serde::Deserialize;
use toml::{Table, Value};

use super::backend::{Creators, ServerExpiry, creators, duration, hides_outages, server_expiry};

/// The presets, each with its settings. A setting of the region overrides the preset's.
const PRESETS: [(&str, &str); 2] = [
    (
        "resilient",
        r#"
        jitter = "10%"
        early_refresh = 0.8
        stale = "serve_all"
        fail_safe = { max_age = "1d", throttle = "1s" }
        creator_timeout = { soft = "1s", hard = "30s" }
        on_creator_failure = "share"
        on_backend_failure = "degrade"
        "#,
    ),
    ("strict", "max_stale = 0\nstale = \"wait\""),
];

/// The breaker of a region with `on_backend_failure = "degrade"` that configures none.
const DEFAULT_BREAKER: Breaker = Breaker { failures: 5, open_for: Duration::from_secs(1) };

/// How much longer than any call can use a value the region lets a store keep it.
const KEEP_MARGIN: Duration = Duration::from_secs(60);

/// The settings of a region that its explanation is about.
#[derive(Clone, Debug)]
pub(in crate::commands::check) struct Settings {
    pub(super) region: String,
    pub(super) backend: String,
    /// The age past which a value is stale. `None` means never.
    pub(super) expiration_time: Option<Duration>,
    pub(super) jitter: Option<Duration>,
    /// The share of its lifetime after which a value is refreshed.
    pub(super) early_refresh: Option<f64>,
    pub(super) stale: OnStale,
    /// How long after its expiration a value is stale. `None` means without end.
    pub(super) max_stale: Option<Duration>,
    pub(super) fail_safe: Option<FailSafe>,
    pub(super) creator_timeout: CreatorTimeout,
    pub(super) creation_wait_timeout: Duration,
    /// Whether callers that waited share the failure of the creator.
    pub(super) shares_failures: bool,
    /// Whether calls go on without a backend that fails.
    pub(super) degrades: bool,
    pub(super) breaker: Option<Breaker>,
    pub(super) server_expiry: ServerExpiry,
    pub(super) creators: Creators,
    /// Whether the backend itself treats a server that is down as empty.
    pub(super) hides_outages: bool,
}

/// What callers get that find a stale value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnStale {
    Serve,
    ServeAll,
    Wait,
    WaitAtMost(Duration),
}

/// When an old value is served because its creator failed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct FailSafe {
    #[serde(with = "seconds")]
    pub(super) max_age: Duration,
    #[serde(default = "one_second", with = "seconds")]
    pub(super) throttle: Duration,
}

/// How long callers wait for a creator.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreatorTimeout {
    #[serde(with = "seconds")]
    pub(super) soft: Option<Duration>,
    #[serde(with = "seconds")]
    pub(super) hard: Option<Duration>,
}

/// When calls of the backend fail at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Breaker {
    pub(super) failures: u32,
    #[serde(with = "seconds")]
    pub(super) open_for: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        DEFAULT_BREAKER
    }
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

impl Settings {
    /// Returns the settings in `table`, the table of `region` in a valid configuration.
    pub(in crate::commands::check) fn of(region: &str, table: &Table) -> Self {
        let mut settings = preset(table);
        settings.extend(table.clone());
        let text = |name| settings.get(name).and_then(Value::as_str);
        let backend = text("backend").unwrap_or_default().to_owned();
        let arguments = settings.get("arguments").and_then(Value::as_table).cloned().unwrap_or_default();
        let expiration_time = read(&settings, "expiration_time").and_then(age);
        let degrades = text("on_backend_failure") == Some("degrade");
        Settings {
            region: region.to_owned(),
            expiration_time,
            jitter: expiration_time.and_then(|limit| jitter(settings.get("jitter")?, limit)),
            early_refresh: settings.get("early_refresh").and_then(share).filter(|share| *share < 1.0),
            stale: settings.get("stale").map_or(OnStale::Serve, OnStale::of),
            max_stale: read(&settings, "max_stale").and_then(age),
            fail_safe: read(&settings, "fail_safe").filter(|safe: &FailSafe| !safe.max_age.is_zero()),
            creator_timeout: read(&settings, "creator_timeout").unwrap_or_default(),
            creation_wait_timeout: settings
                .get("creation_wait_timeout")
                .and_then(duration)
                .unwrap_or(Duration::from_secs(300)),
            shares_failures: text("on_creator_failure") == Some("share"),
            degrades,
            breaker: read(&settings, "breaker").or(degrades.then_some(DEFAULT_BREAKER)),
            server_expiry: server_expiry(&backend, &arguments),
            creators: creators(&backend, &arguments),
            hides_outages: hides_outages(&backend),
            backend,
        }
    }

    /// Returns the age up to which a value can be served at all, if there is a limit.
    pub(super) fn longest_use(&self) -> Option<Duration> {
        let limit = self.expiration_time?;
        let stale = self.max_stale.map(|max_stale| limit.saturating_add(max_stale));
        let grace = self.fail_safe.map(|fail_safe| fail_safe.max_age);
        stale.into_iter().chain(grace).max().map(|longest| longest.max(limit))
    }

    /// Returns the age after which a server drops a value.
    pub(in crate::commands::check) fn server_expiry(&self) -> ServerExpiry {
        let kept = self.longest_use().map(|longest| longest.saturating_add(KEEP_MARGIN));
        match (self.server_expiry, kept) {
            (ServerExpiry::Never { .. }, Some(kept)) => ServerExpiry::After(kept),
            // A time that is configured for the server replaces the region's.
            (expiry, _) => expiry,
        }
    }

    /// Returns whether the backend keeps values at all.
    pub(in crate::commands::check) fn keeps_values(&self) -> bool {
        self.backend != "dogpile.cache.null"
    }

    /// Returns whether another process can take a lock while its holder runs.
    pub(super) fn locks_can_be_lost(&self) -> bool {
        let has_server = self.server_expiry != ServerExpiry::NoServer;
        self.creators == Creators::Unknown || self.creators == Creators::OfAllProcesses && has_server
    }
}

/// Returns the settings of the region's preset.
fn preset(table: &Table) -> Table {
    let name = table.get("preset").and_then(Value::as_str);
    let found = PRESETS.iter().find(|(preset, _)| Some(*preset) == name);
    found.and_then(|(_, settings)| toml::from_str(settings).ok()).unwrap_or_default()
}

impl OnStale {
    fn of(value: &Value) -> Self {
        match value.as_str() {
            Some("serve_all") => OnStale::ServeAll,
            Some("wait") => OnStale::Wait,
            _ => value.get("wait_at_most").and_then(duration).map_or(OnStale::Serve, OnStale::WaitAtMost),
        }
    }
}

/// Returns the setting `name`, if it is given.
fn read<'de, T: Deserialize<'de>>(settings: &Table, name: &str) -> Option<T> {
    settings.get(name)?.clone().try_into().ok()
}

/// Returns the age, or `None` for never.
fn age(expiration: Expiration) -> Option<Duration> {
    if let Expiration::After(age) = expiration { Some(age) } else { None }
}

/// Returns by how much an expiration time of `limit` is shortened at most: a share of it, or a duration.
fn jitter(value: &Value, limit: Duration) -> Option<Duration> {
    let window = match share(value) {
        Some(share) => limit.mul_f64(share),
        None => duration(value)?.min(limit),
    };
    Some(window).filter(|window| !window.is_zero())
}

/// Returns a share from 0 to 1, given as a number or a percentage.
fn share(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Float(number) => *number,
        Value::Integer(number) => *number as f64,
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim_end().parse::<f64>().ok()? / 100.0,
            None => text.trim().parse().ok()?,
        },
        _ => return None,
    };
    Some(number).filter(|share| (0.0..=1.0).contains(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the settings that the documentation of a preset lists, between its first line and its name.
    fn documented(first: &str, name: &str) -> Table {
        let source = include_str!("../../../../../src/policy/preset.rs");
        let text = source.split(first).nth(1).and_then(|text| text.split(name).next()).unwrap();
        let bullets = text.split("* `").skip(1).map(|bullet| bullet.split("`:").next().unwrap());
        let settings: Vec<_> = bullets.flat_map(|bullet| bullet.split("` and `")).collect();
        toml::from_str(&settings.join("\n")).unwrap()
    }

    #[test]
    fn time_of_the_server_replaces_that_of_the_region() {
        let expiry = |arguments: &str| {
            let start = "backend = 'dogpile.cache.redis'\nexpiration_time = 60\nmax_stale = 30\n";
            Settings::of("prices", &toml::from_str(&format!("{start}{arguments}")).unwrap()).server_expiry()
        };
        let seconds = |seconds| ServerExpiry::After(Duration::from_secs(seconds));
        assert_eq!(expiry(""), seconds(150));
        assert_eq!(expiry("arguments = { redis_expiration_time = 7200 }"), seconds(7200));
    }

    #[test]
    fn presets_have_the_settings_that_are_documented() {
        let found: Vec<_> =
            PRESETS.iter().map(|(_, settings)| toml::from_str::<Table>(settings).unwrap()).collect();
        let resilient = documented("/// Rather an old value than an error", "Resilient,");
        let strict = documented("/// Rather an error than an old value", "Strict,");
        assert_eq!(found, [resilient, strict]);
    }
}
