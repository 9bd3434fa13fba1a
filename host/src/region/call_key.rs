//! [`CallKey`]: a key of a call.

use std::borrow::Cow;

use super::configured::Configured;
use crate::error::RegionError;

/// A key in its three forms.
pub(super) struct CallKey<'a> {
    /// As the caller gave it.
    pub(super) key: Cow<'a, str>,
    /// As the backend is given it.
    pub(super) mangled: Cow<'a, str>,
    /// As the bottom store knows it.
    store_key: Option<String>,
}

impl Configured {
    /// Returns `keys` in their three forms.
    pub(super) fn call_keys<'k>(&self, keys: &[&'k str]) -> Result<Vec<CallKey<'k>>, RegionError> {
        keys.iter().map(|key| Ok(CallKey::new(self, key, self.mangle(key)?))).collect()
    }
}

impl<'a> CallKey<'a> {
    pub(super) fn new(current: &Configured, key: &'a str, mangled: Cow<'a, str>) -> Self {
        let store_key = match current.store_key(&mangled) {
            Cow::Borrowed(_) => None,
            Cow::Owned(renamed) => Some(renamed),
        };
        CallKey { key: Cow::Borrowed(key), mangled, store_key }
    }

    pub(super) fn to_owned(&self) -> CallKey<'static> {
        let CallKey { key, mangled, store_key } = self;
        let owned = |text: &str| Cow::Owned(text.to_owned());
        CallKey { key: owned(key), mangled: owned(mangled), store_key: store_key.clone() }
    }

    pub(super) fn store_key(&self) -> &str {
        self.store_key.as_deref().unwrap_or(&self.mangled)
    }
}
