//! [`Trust`]: which names may be used, and which libraries may be opened.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::RwLock;
use serde::Deserialize;

use super::entry_point::Origin;
use super::error::RegistryError;
use super::name::check_name;

/// Restrictions on the names that may be used and the libraries that may be opened.
///
/// Pass them to [`Registry::restrict`](super::Registry::restrict) before you add folders and libraries. In a
/// configuration file, they are in the table `[plugins]`:
///
/// ```toml
/// [plugins]
/// path = ["/usr/lib/dogpile"]
/// allow = ["dogpile.*", "acme.shelf"]    # if set, only these names may be used
/// deny = ["dogpile.cache.null"]          # never used, even if allowed
/// reserved = ["dogpile.cache.redis"]     # plugin libraries may provide this name of dogpile's own
///
/// [plugins.pins]                         # if set, a library without a pin is not opened
/// "libacme_dogpile.so" = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
/// ```
///
/// A name may end in `*`, which matches any rest. The key of a pin is the file name of the library, or its whole path. If
/// the library is a symbolic link, both the link and the file to which it leads can be named. A whole path goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub(crate) allow: Option<Vec<NamePattern>>,
    pub(crate) deny: Vec<NamePattern>,
    pub(crate) reserved: Vec<ReservedName>,
    pub(crate) pins: BTreeMap<String, Pin>,
}

impl Trust {
    /// Allows `name`. Once a name is allowed, all names that are not are forbidden.
    ///
    /// # Errors
    /// If no entry point can have such a name.
    pub fn allow(mut self, name: &str) -> Result<Self, RegistryError> {
        self.allow.get_or_insert_default().push(NamePattern::new(name)?);
        Ok(self)
    }

    /// Forbids `name`, even if it is allowed.
    ///
    /// # Errors
    /// If no entry point can have such a name.
    pub fn deny(mut self, name: &str) -> Result<Self, RegistryError> {
        self.deny.push(NamePattern::new(name)?);
        Ok(self)
    }

    /// Lets plugin libraries provide the reserved `name`, such as `dogpile.cache.redis` or `dogpile.*`.
    ///
    /// Names that begin with `dogpile.` are reserved for dogpile's own plugins. A library that is pinned needs no further
    /// permission. In contrast to the other settings, a permission of one `Trust` counts for all.
    ///
    /// # Errors
    /// If `name` is not reserved, or no entry point can have such a name.
    pub fn reserved(mut self, name: &str) -> Result<Self, RegistryError> {
        self.reserved.push(ReservedName::new(name)?);
        Ok(self)
    }

    /// Pins the library `file`, a file name or a whole path, to a hexadecimal SHA-256. A symbolic link may be named, too.
    ///
    /// Once a library is pinned, libraries without a pin are not opened.
    ///
    /// # Errors
    /// If `sha256` does not have 64 hexadecimal digits.
    pub fn pin(mut self, file: &str, sha256: &str) -> Result<Self, RegistryError> {
        let pin = Pin::try_from(sha256.to_owned());
        let pin = pin.map_err(|problem| RegistryError::Pin { file: file.to_owned(), problem })?;
        self.pins.insert(file.to_owned(), pin);
        Ok(self)
    }

    /// Returns an error with the reason if `name` may not be used.
    fn admits(&self, name: &str) -> Result<(), String> {
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.matches(name)) {
            return Err(format!("`deny` contains {:?}", pattern.0));
        }
        match &self.allow {
            Some(allowed) if !allowed.iter().any(|pattern| pattern.matches(name)) => {
                Err("`allow` does not contain it".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the library with these paths may provide the reserved `name`.
    fn permits(&self, name: &str, paths: [&Path; 2]) -> bool {
        self.reserved.iter().any(|reserved| reserved.0.matches(name))
            || matches!(self.pin_of(paths), Ok(Some(_)))
    }

    /// Returns the pin of the library with these paths, or `None` if no library is pinned. Both lead to one file, of which the
    /// second is the canonical one.
    ///
    /// If several pins match, that of a whole path holds, and then that of the canonical one.
    fn pin_of(&self, paths: [&Path; 2]) -> Result<Option<&Pin>, NotPinned> {
        let [path, canonical] = paths;
        let pin_of = |is_meant: &dyn Fn(&str) -> bool| self.pins.iter().find(|(file, _)| is_meant(file));
        let by_path = |path: &Path| pin_of(&|file| path == Path::new(file));
        let by_name = |path: &Path| pin_of(&|file| path.file_name().is_some_and(|name| name == file));
        let found = by_path(canonical).or_else(|| by_path(path));
        match found.or_else(|| by_name(canonical)).or_else(|| by_name(path)) {
            Some((_, pin)) => Ok(Some(pin)),
            None if self.pins.is_empty() => Ok(None),
            None => Err(NotPinned),
        }
    }
}

/// The name of an entry point, or a beginning of names followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct NamePattern(String);

impl NamePattern {
    fn new(pattern: &str) -> Result<Self, RegistryError> {
        if pattern != "*" {
            check_name(pattern.strip_suffix('*').unwrap_or(pattern))?;
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

/// How the names of dogpile's own plugins begin.
const RESERVED: &str = "dogpile.";

/// A pattern of names that are reserved for dogpile's own plugins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ReservedName(NamePattern);

impl ReservedName {
    fn new(pattern: &str) -> Result<Self, RegistryError> {
        let is_reserved = pattern.starts_with(RESERVED);
        let name = NamePattern::new(pattern)?;
        if is_reserved {
            Ok(Self(name))
        } else {
            Err(RegistryError::NotReserved { name: pattern.to_owned() })
        }
    }
}

impl TryFrom<String> for ReservedName {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        ReservedName::new(&pattern).map_err(|error| error.to_string())
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
            false => Err(format!("invalid SHA-256 {sha256:?}: expected 64 hexadecimal digits")),
        }
    }
}

/// The error for a library without a pin, while others have one.
#[derive(Debug, PartialEq)]
pub(super) struct NotPinned;

/// The restrictions of a registry. All of them hold, so that a later one never loosens an earlier one. Only the
/// permissions to provide reserved names add up.
#[derive(Debug, Default)]
pub(super) struct Rules(RwLock<Vec<Trust>>);

impl Rules {
    pub(super) fn add(&self, trust: Trust) {
        let mut rules = self.0.write();
        // A program may read its configuration again and again. Its restrictions do not pile up.
        if !rules.contains(&trust) {
            rules.push(trust);
        }
    }

    /// Returns an error if the entry point `name` of `origin` may not be used.
    pub(super) fn check_name(&self, name: &str, origin: &Origin) -> Result<(), RegistryError> {
        self.check_reserved(name, origin)?;
        let denied = |reason| RegistryError::Denied { name: name.to_owned(), origin: origin.clone(), reason };
        self.0.read().iter().try_for_each(|trust| trust.admits(name)).map_err(denied)
    }

    /// Returns an error if `origin` is a library that may not provide the reserved `name`.
    pub(super) fn check_reserved(&self, name: &str, origin: &Origin) -> Result<(), RegistryError> {
        let Origin::Library { path, .. } = origin else { return Ok(()) };
        if !name.starts_with(RESERVED) {
            return Ok(());
        }
        // The key of a pin may be the canonical path. A library that is missing is reported when it is opened.
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.0.read().iter().any(|trust| trust.permits(name, [path, &canonical])) {
            return Ok(());
        }
        Err(RegistryError::Reserved { name: name.to_owned(), origin: origin.clone() })
    }

    /// Returns every SHA-256 that the library at `path` must have. `canonical` is the file to which it leads.
    ///
    /// # Errors
    /// If other libraries are pinned and this one is not.
    #[cfg(feature = "plugins")]
    pub(super) fn pins_of(&self, path: &Path, canonical: &Path) -> Result<Vec<String>, NotPinned> {
        let rules = self.0.read();
        let pins = rules.iter().filter_map(|trust| trust.pin_of([path, canonical]).transpose());
        pins.map(|pin| pin.map(|pin| pin.0.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_whole_or_by_beginning() {
        let trust = Trust::default().allow("acme.*").unwrap().allow("dogpile.cache.memory").unwrap();
        let trust = trust.deny("acme.old*").unwrap();
        assert_eq!(trust.admits("acme.shelf"), Ok(()));
        assert_eq!(trust.admits("dogpile.cache.memory"), Ok(()));
        assert_eq!(trust.admits("acme.older"), Err("`deny` contains \"acme.old*\"".to_owned()));
        assert_eq!(
            trust.admits("dogpile.cache.memory_pickle"),
            Err("`allow` does not contain it".to_owned())
        );
        assert_eq!(Trust::default().admits("anything"), Ok(()));
        assert!(Trust::default().allow("a b").is_err());
        assert!(Trust::default().deny("").is_err());
    }

    fn library(path: &str) -> Origin {
        Origin::Library { path: path.into(), package: "acme".to_owned(), version: "1".to_owned() }
    }

    #[test]
    fn reserved_name_of_a_library_takes_a_permission_or_a_pin() {
        let acme = library("/lib/acme.so");
        let linked = Origin::Linked { package: "acme".to_owned(), version: "1".to_owned() };
        let (redis, memory) = ("dogpile.cache.redis", "dogpile.cache.memory");
        let rules = |trust: Trust| {
            let rules = Rules::default();
            rules.add(Trust::default());
            rules.add(trust);
            rules
        };
        let none = rules(Trust::default());
        assert!(none.check_name("acme.redis", &acme).is_ok() && none.check_name(redis, &linked).is_ok());
        assert!(none.check_name(redis, &Origin::Code).is_ok());
        assert!(matches!(none.check_name(redis, &acme), Err(RegistryError::Reserved { .. })));

        let permitted = rules(Trust::default().reserved("dogpile.cache.redis*").unwrap());
        assert!(permitted.check_name(redis, &acme).is_ok());
        assert!(matches!(permitted.check_name(memory, &acme), Err(RegistryError::Reserved { .. })));

        let pinned = rules(Trust::default().pin("acme.so", &"a".repeat(64)).unwrap());
        assert!(pinned.check_name(redis, &acme).is_ok());
        let other = pinned.check_name(redis, &library("/lib/other.so"));
        assert!(matches!(other, Err(RegistryError::Reserved { .. })));

        let denied = rules(Trust::default().reserved("dogpile.*").unwrap().deny(redis).unwrap());
        assert!(matches!(denied.check_name(redis, &acme), Err(RegistryError::Denied { .. })));
    }

    #[test]
    fn permission_for_a_name_that_is_not_reserved_is_rejected() {
        for name in ["acme.*", "*", "dogpile", "dogpilot.cache"] {
            let error = Trust::default().reserved(name).unwrap_err();
            assert!(matches!(error, RegistryError::NotReserved { .. }), "{error}");
        }
        assert!(Trust::default().reserved("dogpile.a b").is_err());
    }

    #[test]
    fn empty_allow_list_allows_nothing() {
        let trust = Trust { allow: Some(Vec::new()), ..Trust::default() };
        assert!(trust.admits("dogpile.cache.memory").is_err());
    }

    #[test]
    fn repeated_restriction_is_kept_once() {
        let rules = Rules::default();
        (0..3).for_each(|_| rules.add(Trust::default().deny("acme.old").unwrap()));
        rules.add(Trust::default().deny("acme.older").unwrap());
        assert_eq!(rules.0.read().len(), 2);
    }

    #[test]
    #[cfg(feature = "plugins")]
    fn pin_matches_file_name_or_path() {
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let trust = Trust::default().pin("one.so", &one).unwrap().pin("/lib/two.so", &two).unwrap();
        let pin_of = |path| trust.pin_of([Path::new(path); 2]).map(|pin| pin.unwrap().0.clone());
        assert_eq!(pin_of("/anywhere/one.so"), Ok(one));
        assert_eq!(pin_of("/lib/two.so"), Ok(two));
        assert_eq!(pin_of("/elsewhere/two.so"), Err(NotPinned));
        assert_eq!(Trust::default().pin_of([Path::new("/lib/two.so"); 2]), Ok(None));
    }

    #[test]
    #[cfg(feature = "plugins")]
    fn pin_names_a_link_or_its_target() {
        let paths = ["/lib/acme.so", "/opt/acme.so.1"].map(Path::new);
        for file in ["acme.so", "acme.so.1", "/lib/acme.so", "/opt/acme.so.1"] {
            let trust = Trust::default().pin(file, &"a".repeat(64)).unwrap();
            assert!(matches!(trust.pin_of(paths), Ok(Some(_))), "{file}");
        }
        let trust = Trust::default().pin("acme.so", &"a".repeat(64)).unwrap();
        let trust = trust.pin("/opt/acme.so.1", &"b".repeat(64)).unwrap();
        assert_eq!(trust.pin_of(paths).unwrap().unwrap().0, "b".repeat(64), "the whole path goes first");
        for [link, target] in [["a.so", "b.so"], ["b.so", "a.so"]] {
            let trust = Trust::default().pin(link, &"a".repeat(64)).unwrap();
            let trust = trust.pin(target, &"b".repeat(64)).unwrap();
            let found = trust.pin_of([link, target].map(Path::new)).unwrap().unwrap();
            assert_eq!(found.0, "b".repeat(64), "the file goes before the link");
        }
    }

    #[test]
    fn malformed_pin_is_rejected() {
        let error = Trust::default().pin("one.so", "abc").unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid pin of \"one.so\": invalid SHA-256 \"abc\": expected 64 hexadecimal digits"
        );
    }
}
