//! Refuses what a host would refuse, before it is shipped.

use std::path::Path;

use dogpile::Registry;
use dogpile::registry::{Manifest, ManifestEntry, RegistryError};

use crate::error::{CommandError, causes};

/// The beginning of names that a host accepts from dogpile's own plugins only.
const RESERVED: &str = "dogpile.";

/// Returns an error unless a host can use all `entries` of a library.
pub(super) fn check_entry_points(
    entries: &[ManifestEntry],
    allows_reserved: bool,
) -> Result<(), CommandError> {
    if entries.is_empty() {
        return Err(CommandError::other(
            "the library provides no entry point; use `register_backend!` or `register_proxy!` in the crate that \
             `export_plugin!` names",
        ));
    }
    let is_repeated =
        |at: usize, entry: &ManifestEntry| entries[..at].iter().any(|other| other.name == entry.name);
    if let Some((_, entry)) = entries.iter().enumerate().find(|(at, entry)| is_repeated(*at, entry)) {
        let name = &entry.name;
        return Err(CommandError::other(format!(
            "the library provides {name:?} twice, so that no host can use it; rename one of them"
        )));
    }
    match entries.iter().find(|entry| entry.name.starts_with(RESERVED) && !allows_reserved) {
        None => Ok(()),
        Some(ManifestEntry { name, .. }) => Err(CommandError::other(format!(
            "the library provides {name:?}, but names that begin with {RESERVED:?} are reserved for dogpile's own \
             plugins, and a host refuses them unless it pins the library or lists them in [plugins] reserved; rename the \
             entry point, or give --reserved"
        ))),
    }
}

/// Returns an error unless a host accepts the manifest at `path`.
pub(super) fn check_manifest(path: &Path) -> Result<(), CommandError> {
    Manifest::read(path).map(drop).map_err(|error| match error {
        RegistryError::Manifest { problem, .. } => {
            CommandError::other(format!("a host would refuse the plugin: {problem}"))
        }
        error => error.into(),
    })
}

/// Returns why a host refuses the plugin folder `path`, if it does.
pub(super) fn refused_folder(path: &Path) -> Option<String> {
    match Registry::empty().add_folder(path) {
        Ok(()) => None,
        Err(RegistryError::Folder { problem, .. }) => Some(problem),
        Err(error) => Some(causes(&error).join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(entries: &str, allows_reserved: bool) -> Option<String> {
        let text = format!("name = 'a'\nversion = '1'\nlibrary = 'a.so'\nentry_points = [{entries}]\n");
        let manifest: Manifest = toml::from_str(&text).unwrap();
        let checked = check_entry_points(&manifest.entry_points, allows_reserved);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn library_without_or_with_repeated_entry_points_is_refused() {
        let (shelf, other) = ("{ name = 'a.x', kind = 'backend' }", "{ name = 'a.x', kind = 'proxy' }");
        assert_eq!(refused(shelf, false), None);
        assert!(refused("", false).unwrap().starts_with("the library provides no entry point; "));
        for second in [shelf, other] {
            let text = refused(&format!("{shelf}, {second}"), false).unwrap();
            assert!(text.starts_with("the library provides \"a.x\" twice"), "{text}");
        }
    }

    #[test]
    fn manifest_with_an_invalid_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dogpile.toml");
        for (name, expected) in
            [("a.x", None), ("a x", Some("invalid entry-point name \"a x\"")), ("", Some("invalid"))]
        {
            let entry = format!("{{ name = '{name}', kind = 'backend' }}");
            let text = format!("name = 'a'\nversion = '1'\nlibrary = 'a.so'\nentry_points = [{entry}]\n");
            std::fs::write(&path, text).unwrap();
            let refused = check_manifest(&path).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(refused, None),
                Some(expected) => assert!(refused.as_ref().unwrap().contains(expected), "{refused:?}"),
            }
        }
    }

    #[test]
    fn reserved_name_needs_an_option() {
        let entry = "{ name = 'dogpile.cache.mine', kind = 'backend' }";
        assert!(refused(entry, false).unwrap().contains("give --reserved"));
        assert_eq!(refused(entry, true), None);
        assert_eq!(refused("{ name = 'dogpiles.mine', kind = 'backend' }", false), None);
    }
}
