//! The flat names of settings for old values and failures. A setting with parts has one name for each of them.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use dogpile_sdk::seconds;

use crate::region::{CreatorTimeout, FailSafe, OnStale, RegionConfig};

/// The names that may follow the prefix.
pub(super) const NAMES: [&str; 14] = [
    "preset",
    "jitter",
    "early_refresh",
    "max_stale",
    "stale",
    "stale.wait_at_most",
    "fail_safe.max_age",
    "fail_safe.throttle",
    "creator_timeout.soft",
    "creator_timeout.hard",
    "on_creator_failure",
    "on_backend_failure",
    "breaker.failures",
    "breaker.open_for",
];

/// Sets the setting `name`, which is one of [`NAMES`].
pub(super) fn set(config: &mut RegionConfig, name: &str, value: &str) -> Result<(), String> {
    let settings = &mut config.settings;
    let lifetimes = &mut settings.lifetimes;
    match name {
        "preset" => settings.preset = Some(parsed(value)?),
        "jitter" => lifetimes.jitter = Some(parsed(value)?),
        "early_refresh" => lifetimes.early_refresh = Some(parsed(value)?),
        "max_stale" => lifetimes.max_stale = Some(parsed(value)?),
        "stale" => lifetimes.stale = Some(parsed(value)?),
        "stale.wait_at_most" => lifetimes.stale = Some(OnStale::WaitAtMost(time(value)?)),
        "fail_safe.max_age" => lifetimes.fail_safe.get_or_insert(FailSafe::OFF).max_age = time(value)?,
        "fail_safe.throttle" => lifetimes.fail_safe.get_or_insert(FailSafe::OFF).throttle = time(value)?,
        "creator_timeout.soft" => {
            lifetimes.creator_timeout.get_or_insert(CreatorTimeout::OFF).soft = Some(time(value)?);
        }
        "creator_timeout.hard" => {
            lifetimes.creator_timeout.get_or_insert(CreatorTimeout::OFF).hard = Some(time(value)?);
        }
        "on_creator_failure" => settings.on_creator_failure = Some(parsed(value)?),
        "on_backend_failure" => settings.on_backend_failure = Some(parsed(value)?),
        "breaker.failures" => {
            let failures = value.parse().map_err(|_| "expected a number of calls, such as 5".to_owned())?;
            settings.breaker.get_or_insert_default().failures = failures;
        }
        _ => settings.breaker.get_or_insert_default().open_for = time(value)?,
    }
    Ok(())
}

fn parsed<T: FromStr<Err: Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error: T::Err| error.to_string())
}

fn time(value: &str) -> Result<Duration, String> {
    seconds::parse(value).map_err(|error| error.to_string())
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;
    use crate::policy::{Jitter, Preset, Share};

    #[test]
    fn each_name_sets_its_part() {
        let values = ["resilient", "10%", "0.8", "50", "serve_all", "200ms", "1d", "2", "0.5", "30s"];
        let values = values.into_iter().chain(["share", "degrade", "7", "3s"]);
        let mut config = RegionConfig::default();
        for (name, value) in NAMES.into_iter().zip(values) {
            set(&mut config, name, value).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        }
        let settings = &config.settings;
        let lifetimes = &settings.lifetimes;
        assert_eq!(settings.preset, Some(Preset::Resilient));
        assert_eq!(lifetimes.jitter, Some(Jitter::Share(Share::percent(10))));
        assert_eq!(lifetimes.early_refresh, Some(Share::percent(80)));
        assert_eq!(lifetimes.stale, Some(OnStale::WaitAtMost(Duration::from_millis(200))));
        let fail_safe = FailSafe::new(Duration::from_secs(86_400)).throttle(Duration::from_secs(2));
        assert_eq!(lifetimes.fail_safe, Some(fail_safe));
        let limits = CreatorTimeout::OFF.soft(Duration::from_millis(500)).hard(Duration::from_secs(30));
        assert_eq!(lifetimes.creator_timeout, Some(limits));
        let breaker = settings.breaker.expect("the breaker is set");
        assert_eq!((breaker.failures, breaker.open_for), (7, Duration::from_secs(3)));
    }

    #[test]
    fn invalid_value_is_an_error() {
        for name in NAMES {
            assert!(set(&mut RegionConfig::default(), name, "nonsense").is_err(), "{name}");
        }
    }
}
