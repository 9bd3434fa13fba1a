//! The settings in TOML, and the errors of invalid ones.

use dogpile::{CacheRegion, Configuration, RegionConfig};

fn configured(settings: &str) -> Result<CacheRegion, String> {
    let document = format!("[regions.stages]\nbackend = \"dogpile.cache.memory\"\n{settings}\n");
    let configuration = Configuration::from_toml(&document).map_err(|error| format!("{error:#}"))?;
    let region = CacheRegion::with_defaults("stages", RegionConfig::default());
    configuration.configure(&region).map_err(|error| format!("{error:#}"))?;
    Ok(region)
}

#[test]
fn valid_settings_are_accepted() {
    for settings in [
        "preset = \"dogpile\"",
        "preset = \"resilient\"\nexpiration_time = -1",
        "jitter = \"10%\"",
        "jitter = 0.1\nexpiration_time = 60",
        "jitter = \"30s\"\nexpiration_time = \"5m\"",
        "expiration_time = 60\nmax_stale = \"1h\"\nstale = \"serve\"",
        "stale = \"serve_all\"",
        "stale = \"wait\"",
        "stale = { wait_at_most = \"200ms\" }",
        "max_stale = -1\nexpiration_time = -1",
        "expiration_time = 60\nfail_safe = { max_age = \"1day\" }",
        "fail_safe = { max_age = 0 }\nexpiration_time = 60",
        "fail_safe = { max_age = \"1day\", throttle = 0.5 }",
        "creator_timeout = { soft = \"500ms\", hard = 10 }\nearly_refresh = 0.8",
        "creator_timeout = {}\nearly_refresh = \"80%\"",
    ] {
        let configured = configured(settings);
        assert!(configured.is_ok(), "{settings}: {}", configured.unwrap_err());
    }
}

#[test]
fn invalid_settings_are_rejected_with_the_expected_form() {
    let cases = [
        ("preset = \"robust\"", "unknown variant `robust`, expected one of `dogpile`, `resilient`, `strict`"),
        (
            "jitter = 5",
            "invalid jitter 5: expected a share such as 0.1 or \"10%\", or a duration such as \"30s\"",
        ),
        ("jitter = \"much\"", "invalid jitter \"much\": expected a share"),
        ("jitter = [1]", "expected a jitter: a share such as 0.1 or \"10%\", or a duration such as \"30s\""),
        ("early_refresh = 80", "invalid share 80: expected a number from 0 to 1 or a percentage"),
        ("early_refresh = \"soon\"", "invalid share \"soon\""),
        ("early_refresh = 0", "\"early_refresh\" is 0, so that each call would create"),
        ("max_stale = \"long\"", "invalid expiration time \"long\""),
        (
            "stale = \"ignore\"",
            "invalid policy for stale values \"ignore\": expected \"serve\", \"serve_all\", \"wait\", or",
        ),
        ("stale = 5", "expected a policy for stale values: \"serve\""),
        ("stale = { wait = 1 }", "unknown field `wait`, expected `wait_at_most`"),
        ("stale = {}", "missing field `wait_at_most`"),
        ("fail_safe = \"1d\"", "expected a table such as { max_age = \"1d\", throttle = \"1s\" }"),
        ("fail_safe = { age = 1 }", "unknown field `age`"),
        ("fail_safe = {}", "missing field `max_age`"),
        ("fail_safe = { max_age = -1 }", "invalid duration -1"),
        ("creator_timeout = 5", "expected a table such as { soft = \"500ms\", hard = \"10s\" }"),
        ("creator_timeout = { firm = 1 }", "unknown field `firm`"),
        ("expiration_time = -1\nmax_stale = 5", "\"max_stale\" has no effect if values never expire"),
        ("expiration_time = -1\njitter = 0.1", "\"jitter\" has no effect if values never expire"),
        (
            "expiration_time = -1\nearly_refresh = 0.5",
            "\"early_refresh\" has no effect if values never expire",
        ),
        (
            "expiration_time = 60\njitter = \"60s\"",
            "\"jitter\" (60s) is not shorter than \"expiration_time\" (60s)",
        ),
        (
            "expiration_time = 60\nmax_stale = 60\nfail_safe = { max_age = 120 }",
            "the \"max_age\" of \"fail_safe\" (120s) is not longer than \"expiration_time\" and \"max_stale\" together (120s)",
        ),
        (
            "creator_timeout = { soft = 2, hard = 1 }",
            "the limit \"hard\" of \"creator_timeout\" (1s) is not longer than \"soft\" (2s)",
        ),
    ];
    for (settings, expected) in cases {
        let error = configured(settings).expect_err(settings);
        assert!(error.contains(expected), "{settings}: {error}");
    }
}
