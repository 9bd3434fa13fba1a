//! [`OnStale`]: what callers get that find a stale value.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::seconds;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// What callers of `get_or_create` get if they find a stale value. In a configuration, it is `"serve"`, `"serve_all"`,
/// `"wait"`, or `{ wait_at_most = "200ms" }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStale {
    /// One caller creates the new value, and the others get the stale one. The default.
    #[default]
    Serve,
    /// All callers get the stale value. The new one is created in the background.
    ///
    /// This needs a creator that owns what it uses: see [`background`](crate::CallOptions::background) and
    /// [`detach`](crate::CallOptions::detach). With any other creator, it is like [`Serve`](Self::Serve).
    ServeAll,
    /// All callers wait for the new value, as if there were no stale one.
    Wait,
    /// All callers wait for the new value, at most this long. Then they get the stale one.
    ///
    /// The caller that creates waits for its creator, however long that takes, unless the creator owns what it uses.
    WaitAtMost(Duration),
}

impl OnStale {
    /// Returns whether callers with a stale value wait.
    pub(crate) fn waits(self) -> bool {
        matches!(self, OnStale::Wait | OnStale::WaitAtMost(_))
    }

    /// Returns how long callers with a stale value wait at most, if they do and there is a limit.
    pub(crate) fn longest_wait(self) -> Option<Duration> {
        if let OnStale::WaitAtMost(limit) = self { Some(limit) } else { None }
    }
}

/// The error for an invalid policy for stale values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid policy for stale values {given:?}: expected \"serve\", \"serve_all\", \"wait\", or a table such as {{ wait_at_most = \
     \"200ms\" }}"
)]
pub struct InvalidOnStale {
    given: String,
}

impl std::str::FromStr for OnStale {
    type Err = InvalidOnStale;

    fn from_str(text: &str) -> Result<Self, InvalidOnStale> {
        match text {
            "serve" => Ok(OnStale::Serve),
            "serve_all" => Ok(OnStale::ServeAll),
            "wait" => Ok(OnStale::Wait),
            _ => Err(InvalidOnStale { given: text.to_owned() }),
        }
    }
}

impl<'de> Deserialize<'de> for OnStale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnStaleVisitor)
    }
}

/// The table form.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(with = "seconds")]
    wait_at_most: Duration,
}

struct OnStaleVisitor;

impl<'de> Visitor<'de> for OnStaleVisitor {
    type Value = OnStale;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a policy for stale values: \"serve\", \"serve_all\", \"wait\", or a table such as { wait_at_most = \"200ms\" }",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OnStale, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<OnStale, A::Error> {
        let Table { wait_at_most } = Table::deserialize(de::value::MapAccessDeserializer::new(table))?;
        Ok(OnStale::WaitAtMost(wait_at_most))
    }
}
