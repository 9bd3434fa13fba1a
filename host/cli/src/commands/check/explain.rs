//! Explains what a region does with a value of each age and in each failure.

mod backend;
mod case;
mod failures;
mod lifetimes;
mod settings;

use serde::Serialize;

use self::case::Case;
use crate::page::{Color, Page, columns, padded};

pub(super) use self::backend::ServerExpiry;
pub(super) use self::settings::Settings;

/// The number of columns for the cases. A longer one gets a line of its own.
const CASES: usize = 20;

/// The explanation of a region.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Explanation {
    region: String,
    backend: String,
    sections: Vec<Section>,
}

/// The explanation of related cases.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Section {
    title: &'static str,
    cases: Vec<Case>,
}

/// Explains a region with `settings`.
pub(super) fn explain(settings: &Settings) -> Explanation {
    let section = |title, cases| Section { title, cases };
    Explanation {
        region: settings.region.clone(),
        backend: settings.backend.clone(),
        sections: vec![
            section("A value, by its age", lifetimes::by_age(settings)),
            section("A missing value", lifetimes::missing(settings)),
            section("Failures", failures::failures(settings)),
        ],
    }
}

impl Explanation {
    pub(super) fn write(&self, page: &mut Page) {
        let region = page.paint(Color::Bold, &format!("{:?}", self.region));
        page.line(format!("region {region} on {}, for get_or_create", self.backend));
        for Section { title, cases } in &self.sections {
            page.line("");
            page.line(page.paint(Color::Bold, title));
            for Case { when, what } in cases {
                let indented = format!("  {}", padded(when, CASES));
                if columns(when) > CASES {
                    page.line(indented);
                    page.wrapped(&" ".repeat(CASES + 4), &" ".repeat(CASES + 4), what);
                } else {
                    page.wrapped(&format!("{indented}  "), &" ".repeat(CASES + 4), what);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the explanation of a region with these settings, which are TOML.
    fn explained(settings: &str) -> String {
        let table = toml::from_str(settings).unwrap();
        crate::page::plain(|page| explain(&Settings::of("prices", &table)).write(page))
    }

    #[test]
    fn region_in_memory_is_explained() {
        let expected = r#"region "prices" on dogpile.cache.memory, for get_or_create

A value, by its age
  any age               fresh: all callers get it, until the region is
                        invalidated or the key is deleted.
  invalidated           invalidate: it counts as missing. invalidate_soft: it is
                        stale, whatever its age.

A missing value
  no value              one caller of each process creates it, and the others of
                        its process wait for it.
  waited for 5m         a caller that waits for others gets an error, or the old
                        value if it found a stale one.

Failures
  the creator fails     its caller gets the error. The next caller creates, one
                        at a time. Other callers with a stale value get that
                        value.
  the creator is slow   its caller waits for it without a limit. Callers with a
                        stale value do not wait.
  a read fails          the call returns the error.
  a store fails         the created value is returned to all that wait for it,
                        and is not stored.
  a delete fails        the call returns the error.
"#;
        assert_eq!(explained("backend = 'dogpile.cache.memory'"), expected);
    }

    #[test]
    fn region_on_a_server_is_explained() {
        let settings = r#"
            backend = "dogpile.cache.redis"
            expiration_time = "5m"
            creation_wait_timeout = 30
            on_creator_failure = "share"
            arguments = { distributed_lock = true, redis_expiration_time = "1h" }
        "#;
        let expected = r#"region "prices" on dogpile.cache.redis, for get_or_create

A value, by its age
  up to 5m              fresh: all callers get it.
  past 5m               stale: one caller creates a new value. The others get
                        this one meanwhile.
  invalidated           invalidate: it counts as missing. invalidate_soft: it is
                        stale, whatever its age.
  after 1h              the server drops it.

A missing value
  no value              one caller of all processes creates it, and the others
                        wait for it.
  waited for 30s        a caller that waits for others gets an error, or the old
                        value if it found a stale one.

Failures
  the creator fails     its caller gets the error, and so do all that wait for
                        it. Other callers with a stale value get that value.
  the creator is slow   its caller waits for it without a limit. Callers with a
                        stale value do not wait.
  a read fails          the call returns the error.
  a store fails         the created value is returned to all that wait for it,
                        and is not stored.
  a delete fails        the call returns the error.
  the mutex fails       a caller with a stale value gets that value. The others
                        get the error, all at once.
  the lock is lost      the created value is returned, but not stored: another
                        creator may have stored a newer one.
"#;
        assert_eq!(explained(settings), expected);
    }

    /// The settings of the preset, of which one is overridden.
    #[test]
    fn resilient_region_is_explained() {
        let settings = r#"
            backend = "dogpile.cache.redis"
            preset = "resilient"
            expiration_time = "5m"
            fail_safe = { max_age = "2h", throttle = "5s" }
        "#;
        let expected = r#"region "prices" on dogpile.cache.redis, for get_or_create

A value, by its age
  up to 5m              fresh: all callers get it. Each value is stale up to 30s
                        earlier, so that not all of them expire at once.
  past 4m               still fresh, and one caller has a new value created.
                        That is in the background if the creator owns what it
                        uses.
  past 5m               stale: all callers get it, and a new value is created in
                        the background. If the creator does not own what it
                        uses, one caller creates it.
  invalidated           invalidate: it counts as missing. invalidate_soft: it is
                        stale, whatever its age.
  after 2h 1m           the server drops it.

A missing value
  no value              one caller of each process creates it, and the others of
                        its process wait for it.
  waited for 5m         a caller that waits for others gets an error, or the old
                        value if it found a stale one.

Failures
  the creator fails     callers get the old value if it is at most 2h old, and
                        the creator is not called again for 5s. Without such a
                        value, its caller gets the error, and so do all that
                        wait for it.
  creating for 1s       a caller with a stale value gets that value.
  creating for 30s      all callers get an error or, if there is one, the old
                        value. The creation goes on if the creator owns what it
                        uses. A blocking creator that does not is not
                        interrupted.
  a read fails          the key counts as missing. One caller of each process
                        creates it, and its value is shared within the process
                        for up to 1s.
  a store fails         the created value is returned to all that wait for it,
                        and is not stored.
  a delete fails        it succeeds: the key is missing for this process, and is
                        deleted as soon as the backend works again.
  5 calls fail          in a row: the backend is not called for 1s, so that
                        calls fail at once. Then one call tries it.
"#;
        assert_eq!(explained(settings), expected);
    }

    #[test]
    fn strict_region_is_explained() {
        let strict = explained("backend = 'dogpile.cache.memory'\npreset = 'strict'\nexpiration_time = 60");
        let expected = r#"
  up to 1m              fresh: all callers get it.
  past 1m               too old: it counts as missing.
  invalidated           invalidate: it counts as missing. invalidate_soft: it is
                        stale, whatever its age, so that callers wait.
"#;
        assert!(strict.contains(expected), "{strict}");
        assert!(
            strict.contains(
                "  the creator is slow   its caller waits for it without a limit. Callers with a\n"
            )
        );
        assert!(!strict.contains("get that"), "no stale value is served: {strict}");
    }

    #[test]
    fn limits_of_stale_values_are_explained() {
        let settings = r#"
            backend = "acme.shelf"
            expiration_time = "1m"
            jitter = "5s"
            max_stale = "30s"
            stale = { wait_at_most = "200ms" }
            fail_safe = { max_age = "1h" }
            breaker = { failures = 3 }
        "#;
        let expected = r#"
  up to 1m              fresh: all callers get it. Each value is stale up to 5s
                        earlier, so that not all of them expire at once.
  past 1m               stale: one caller creates a new value, and the others
                        wait for it. After 200ms, they get this one.
  past 1m 30s           too old: it counts as missing, unless the creator fails
                        or times out.
  past 1h               it is never served.
"#;
        let text = explained(settings);
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("\n  3 calls fail          in a row: the backend is not called for 1s"),
            "{text}"
        );
        assert!(text.contains("\n  a read fails          the call returns the error.\n"), "{text}");
    }

    #[test]
    fn kind_of_backend_decides_what_is_explained() {
        let memcached = explained("backend = 'dogpile.cache.pylibmc'");
        assert!(memcached.contains("while a server is down, its keys are missing"), "{memcached}");
        assert!(memcached.contains("\"memcached_expire_time\" is not set."), "{memcached}");
        let file = explained("backend = 'dogpile.cache.dbm'");
        assert!(file.contains("one caller of all processes creates it"), "{file}");
        assert!(file.contains("the mutex fails") && !file.contains("the lock is lost"), "{file}");
        let sentinel = explained("backend = 'dogpile.cache.redis_sentinel'");
        assert!(sentinel.contains("one caller of all processes creates it"), "{sentinel}");
        let foreign = explained("backend = 'acme.shelf'");
        assert!(foreign.contains("if the backend has mutexes"), "{foreign}");
        assert!(!foreign.contains("on the server"), "{foreign}");
    }
}
