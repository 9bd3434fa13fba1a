//! Explains in words what a region does with a value of each age, and in each failure.

mod case;
mod failures;
mod lifetimes;
mod settings;

use serde::Serialize;

use self::case::Case;
use crate::page::{Colour, Page, padded};

pub(super) use self::settings::{ServerExpiry, Settings};

/// How many columns the cases have. A longer one gets a line of its own.
const CASES: usize = 20;

/// What a region does.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Explanation {
    region: String,
    backend: String,
    sections: Vec<Section>,
}

/// What a region does in related cases.
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
        let region = page.paint(Colour::Bold, &format!("{:?}", self.region));
        page.line(format!("region {region} on {}, for get_or_create", self.backend));
        for Section { title, cases } in &self.sections {
            page.line("");
            page.line(page.paint(Colour::Bold, title));
            for Case { when, what } in cases {
                let indented = format!("  {}", padded(when, CASES));
                if when.chars().count() > CASES {
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
        let mut page = Page::new(false);
        explain(&Settings::of("prices", &table)).write(&mut page);
        page.into_text()
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
                        at a time. Meanwhile, callers with a stale value get
                        that value.
  the creator is slow   its caller waits for it without a limit. Callers with a
                        stale value do not wait.
  a read fails          the call returns the error.
  a store fails         the created value is returned to all that wait for it,
                        and is not stored.
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
                        it. Callers with a stale value get that value.
  the creator is slow   its caller waits for it without a limit. Callers with a
                        stale value do not wait.
  a read fails          the call returns the error.
  a store fails         the created value is returned to all that wait for it,
                        and is not stored.
  the mutex fails       a caller with a stale value gets that value. The others
                        get the error, all at once.
  the lock is lost      the created value is returned, but not stored: another
                        creator may have stored a newer one.
"#;
        assert_eq!(explained(settings), expected);
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
