//! [`StoredKeys`]: which key a region passes to its backend.
//!
//! A key that the store cannot keep under itself is *replaced*: it is stored as `_dogpile:sha256:`, and the hexadecimal
//! SHA-256 of its UTF-8 bytes. No other key begins like that, because keys that begin with `_dogpile:` are replaced too.
//! Two keys are therefore never stored as one.

use std::borrow::Cow;

use dogpile_sdk::{Capabilities, KeyBytes, KeyMangler};

use crate::sha256::sha256_hex;

const EMPTY: &str = "the key is empty; use at least one character";
const RESERVED: &str =
    "it begins with a prefix that is reserved for locks or replaced keys; rename it, or set a key mangler";
const NOT_ADMITTED: &str =
    "the store does not accept it; shorten it, replace its whitespace, or set a key mangler";
const NOT_REPLACEABLE: &str = "the store accepts neither the key nor its replacement of 80 bytes; shorten it, replace its \
                               whitespace, or set a key mangler";

/// The rule for the keys that a region passes to its backend.
pub(crate) struct StoredKeys {
    mangler: Option<KeyMangler>,
    /// The limits of the store and its reserved prefixes.
    capabilities: Capabilities,
    /// Whether keys are replaced if they must be. Otherwise they are errors.
    replaces: bool,
    /// Whether a key is stored as it is, unless it is empty or begins with an underscore.
    keeps_plain: bool,
}

impl StoredKeys {
    /// Creates the rule of a region with the key mangler `mangler` over a store with `capabilities`.
    pub(crate) fn new(mangler: Option<KeyMangler>, capabilities: &Capabilities, replaces: bool) -> Self {
        let Capabilities { max_key_bytes, key_bytes, reserved_prefixes, .. } = capabilities;
        let is_unlimited = max_key_bytes.is_none() && *key_bytes == KeyBytes::Any;
        // Prefixes of locks usually begin with an underscore. Keys do not, so that one comparison settles most of them.
        let is_plain = reserved_prefixes.iter().all(|prefix| prefix.starts_with('_'));
        let keeps_plain = mangler.is_none() && is_unlimited && is_plain;
        StoredKeys { mangler, capabilities: capabilities.clone(), replaces, keeps_plain }
    }

    /// Returns whether `key` is surely stored as it is. This is the quick half of [`of`](Self::of).
    #[inline]
    pub(crate) fn keeps(&self, key: &str) -> bool {
        self.keeps_plain && !matches!(key.as_bytes(), [] | [b'_', ..])
    }

    /// Returns the key under which `key` is stored.
    ///
    /// # Errors
    /// If the key is invalid. The text is the reason, and what to do.
    pub(crate) fn of<'k>(&self, key: &'k str) -> Result<Cow<'k, str>, &'static str> {
        if key.is_empty() {
            return Err(EMPTY);
        }
        let mangled = match &self.mangler {
            None => Cow::Borrowed(key),
            Some(mangler) => Cow::Owned(mangler.mangle(key)),
        };
        let problem = if !self.capabilities.admits_key(&mangled) {
            NOT_ADMITTED
        } else if self.capabilities.reserves_key(&mangled) {
            RESERVED
        } else {
            return Ok(mangled);
        };
        if self.replaces { self.replaced(&mangled).map(Cow::Owned) } else { Err(problem) }
    }

    fn replaced(&self, mangled: &str) -> Result<String, &'static str> {
        let prefix = Capabilities::REPLACED_KEY_PREFIX;
        let replacement = format!("{prefix}sha256:{}", sha256_hex(mangled.as_bytes()));
        // A store whose locks begin like replacements has no room for them.
        let is_lock =
            self.capabilities.reserved_prefixes.iter().any(|prefix| replacement.starts_with(prefix));
        if self.capabilities.admits_key(&replacement) && !is_lock {
            Ok(replacement)
        } else {
            Err(NOT_REPLACEABLE)
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    /// The result of `hashlib.sha256(b"_locktea").hexdigest()` in Python.
    const LOCKTEA: &str = "_dogpile:sha256:7d4474fc713eae7634b76193a4e0279cd9c74a6f573f113e29a5fcd76454a675";

    fn over(capabilities: &Capabilities) -> StoredKeys {
        StoredKeys::new(None, capabilities, true)
    }

    fn locking() -> Capabilities {
        Capabilities::default().with_reserved_prefix("_lock")
    }

    #[test]
    fn key_with_a_reserved_prefix_is_replaced_by_its_sha256() {
        let keys = over(&locking());
        assert_eq!(keys.of("_locktea"), Ok(Cow::Borrowed(LOCKTEA)));
        for kept in ["tea", "_loc", "_Lock", "x_lock", "_", "dogpile:", "_dogpile"] {
            assert_eq!(keys.of(kept), Ok(Cow::Borrowed(kept)));
        }
    }

    /// This holds for every store, so that no key can be given that another one is replaced by.
    #[test]
    fn replacement_of_a_key_is_replaced_itself() {
        let (plain, locking) = (over(&Capabilities::default()), over(&locking()));
        let again = plain.of(LOCKTEA).unwrap();
        assert!(again.starts_with("_dogpile:sha256:") && again != LOCKTEA, "{again}");
        assert_eq!(locking.of(LOCKTEA), Ok(again));
        assert!(plain.of("_dogpile:").unwrap().starts_with("_dogpile:sha256:"));
        assert_eq!(plain.of("_locktea"), Ok(Cow::Borrowed("_locktea")));
    }

    #[test]
    fn quick_check_keeps_only_what_the_rule_keeps() {
        let texts = ["", "_", "_lock", "_locktea", "_dogpile:x", "lk:tea", "tea", "a b", &"k".repeat(101)];
        let limited = Capabilities::default().with_key_limit(100).with_key_bytes(KeyBytes::NoWhitespace);
        for capabilities in [
            Capabilities::default(),
            locking(),
            Capabilities::default().with_reserved_prefix("lk"),
            limited.with_reserved_prefix("_lock"),
        ] {
            for replaces in [true, false] {
                let keys = StoredKeys::new(None, &capabilities, replaces);
                for text in texts.iter().filter(|text| keys.keeps(text)) {
                    assert_eq!(keys.of(text), Ok(Cow::Borrowed(*text)), "{capabilities:?}");
                }
            }
        }
        assert!(over(&locking()).keeps("tea"), "one comparison settles most keys of a store with locks");
    }

    #[test]
    fn replaced_key_is_the_mangled_one() {
        let mangler = KeyMangler::new(|key| format!("_lock{key}"));
        let keys = StoredKeys::new(Some(mangler), &locking(), true);
        assert!(!keys.keeps("tea"));
        assert_eq!(keys.of("tea"), Ok(Cow::Borrowed(LOCKTEA)));
    }

    #[test]
    fn key_that_must_not_be_replaced_is_an_error() {
        let keys = StoredKeys::new(None, &locking().with_key_limit(100), false);
        assert_eq!(keys.of("_locktea"), Err(RESERVED));
        assert_eq!(keys.of("_dogpile:tea"), Err(RESERVED));
        assert_eq!(keys.of(&"k".repeat(101)), Err(NOT_ADMITTED));
        assert_eq!(keys.of(""), Err(EMPTY));
    }

    #[test]
    fn replacement_that_does_not_fit_either_is_an_error() {
        assert!(over(&Capabilities::default().with_key_limit(80)).of(&"k".repeat(81)).is_ok());
        let short = over(&Capabilities::default().with_key_limit(79));
        assert_eq!(short.of(&"k".repeat(80)), Err(NOT_REPLACEABLE));
        assert_eq!(short.of("tea"), Ok(Cow::Borrowed("tea")));
        let crowded = over(&Capabilities::default().with_reserved_prefix("_dog"));
        assert_eq!(crowded.of("_dogs"), Err(NOT_REPLACEABLE));
    }
}
