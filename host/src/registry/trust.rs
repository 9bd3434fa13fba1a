//! [`Trust`]: which names may be used, and which libraries may be opened.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::RwLock;
use serde::Deserialize;

use super::entry_point::Origin;
use super::error::{LibraryProblem, RegistryError};
use super::offers;

/// Which names may be used, and which libraries may be opened. Give it to
/// [`Registry::restrict`](super::Registry::restrict) before folders and libraries; a configuration has it in its table
/// `[plugins]`:
///
/// ```toml
/// [plugins]
/// path = ["/usr/lib/dogpile"]
/// allow = ["dogpile.*", "acme.shelf"]    # no other name may be used
/// deny = ["dogpile.cache.null"]          # nor these
///
/// [plugins.pins]                         # no other library may be opened
/// "libacme_dogpile.so" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
/// ```
///
/// A name may end in `*`, which stands for any rest. The key of a pin is the library's file name, or its whole path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub(crate) allow: Option<Vec<NamePattern>>,
    pub(crate) deny: Vec<NamePattern>,
    pub(crate) pins: BTreeMap<String, Pin>,
}

impl Trust {
    /// The same, `name` being allowed; once one is, no others are.
    ///
    /// # Errors
    /// If no entry point can have such a name.
    pub fn allow(mut self, name: &str) -> Result<Self, RegistryError> {
        self.allow.get_or_insert_default().push(NamePattern::new(name)?);
        Ok(self)
    }

    /// The same, `name` being denied, though it be allowed.
    ///
    /// # Errors
    /// As for [`allow`](Self::allow).
    pub fn deny(mut self, name: &str) -> Result<Self, RegistryError> {
        self.deny.push(NamePattern::new(name)?);
        Ok(self)
    }

    /// The same, the library `file` (a file name, or a whole path) being trusted if its SHA-256, in hexadecimal digits,
    /// is `sha256`; once one has a pin, libraries without are refused.
    ///
    /// # Errors
    /// If `sha256` cannot be one.
    pub fn pin(mut self, file: &str, sha256: &str) -> Result<Self, RegistryError> {
        let pin = Pin::try_from(sha256.to_owned());
        let pin = pin.map_err(|problem| RegistryError::Pin { file: file.to_owned(), problem })?;
        self.pins.insert(file.to_owned(), pin);
        Ok(self)
    }

    /// Whether `name` may be used, and if not, why.
    fn admits(&self, name: &str) -> Result<(), String> {
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.matches(name)) {
            return Err(format!("`deny` has {:?}", pattern.0));
        }
        match &self.allow {
            Some(allowed) if !allowed.iter().any(|pattern| pattern.matches(name)) => {
                Err("it is not in `allow`".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The pin of the library at `path`. `None` if nothing is pinned.
    fn pin_of(&self, path: &Path) -> Result<Option<&Pin>, LibraryProblem> {
        let is_meant =
            |file: &str| Path::new(file) == path || path.file_name().is_some_and(|name| name == file);
        match self.pins.iter().find(|(file, _)| is_meant(file)) {
            Some((_, pin)) => Ok(Some(pin)),
            None if self.pins.is_empty() => Ok(None),
            None => Err(LibraryProblem::NotPinned),
        }
    }
}

/// The name of an entry point, or the beginning of some and `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct NamePattern(String);

impl NamePattern {
    fn new(pattern: &str) -> Result<Self, RegistryError> {
        if pattern != "*" {
            offers::check_name(pattern.strip_suffix('*').unwrap_or(pattern))?;
        }
        Ok(NamePattern(pattern.to_owned()))
    }

    fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => self.0 == name,
        }
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        NamePattern::new(&pattern).map_err(|error| error.to_string())
    }
}

/// A SHA-256 in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pin(String);

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(sha256: String) -> Result<Self, String> {
        match sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Pin(sha256)),
            false => Err(format!("{sha256:?} is no SHA-256: it has 64 hexadecimal digits")),
        }
    }
}

/// What a registry was told to trust. All of it must hold, so that nobody loosens what another tightened.
#[derive(Debug, Default)]
pub(super) struct Rules(RwLock<Vec<Trust>>);

impl Rules {
    pub(super) fn add(&self, trust: Trust) {
        self.0.write().push(trust);
    }

    /// Whether the entry point `name` of `origin` may be used.
    pub(super) fn check_name(&self, name: &str, origin: &Origin) -> Result<(), RegistryError> {
        let denied = |reason| RegistryError::Denied { name: name.to_owned(), origin: origin.clone(), reason };
        self.0.read().iter().try_for_each(|trust| trust.admits(name)).map_err(denied)
    }

    /// Every SHA-256 that the library at `path`, a canonical path, must have.
    ///
    /// # Errors
    /// If libraries are pinned, and this one is not.
    pub(super) fn pins_of(&self, path: &Path) -> Result<Vec<String>, LibraryProblem> {
        let rules = self.0.read();
        let pins = rules.iter().filter_map(|trust| trust.pin_of(path).transpose());
        pins.map(|pin| pin.map(|pin| pin.0.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_allowed_and_denied_whole_or_by_their_beginning() {
        let trust = Trust::default().allow("acme.*").unwrap().allow("dogpile.cache.memory").unwrap();
        let trust = trust.deny("acme.old*").unwrap();
        assert_eq!(trust.admits("acme.shelf"), Ok(()));
        assert_eq!(trust.admits("dogpile.cache.memory"), Ok(()));
        assert_eq!(trust.admits("acme.older"), Err("`deny` has \"acme.old*\"".to_owned()));
        assert_eq!(trust.admits("dogpile.cache.memory_pickle"), Err("it is not in `allow`".to_owned()));
        assert_eq!(Trust::default().admits("anything"), Ok(()));
        assert!(Trust::default().allow("a b").is_err());
        assert!(Trust::default().deny("").is_err());
    }

    #[test]
    fn an_allow_list_without_names_allows_nothing() {
        let trust = Trust { allow: Some(Vec::new()), ..Trust::default() };
        assert!(trust.admits("dogpile.cache.memory").is_err());
    }

    #[test]
    fn a_pin_is_for_a_file_name_or_a_path() {
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let trust = Trust::default().pin("one.so", &one).unwrap().pin("/lib/two.so", &two).unwrap();
        let pin_of = |path| trust.pin_of(Path::new(path)).map(|pin| pin.unwrap().0.clone());
        assert_eq!(pin_of("/anywhere/one.so").unwrap(), one);
        assert_eq!(pin_of("/lib/two.so").unwrap(), two);
        assert!(matches!(pin_of("/elsewhere/two.so"), Err(LibraryProblem::NotPinned)));
        assert!(Trust::default().pin_of(Path::new("/lib/two.so")).unwrap().is_none());
        assert!(Trust::default().pin("one.so", "abc").is_err());
    }
}
