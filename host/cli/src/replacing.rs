//! Replaces files as a whole.
//!
//! A reader sees the old or the new file. A symbolic link is replaced, and not followed.

use std::fs::{File, Permissions};
use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::CommandError;

/// A new file beside the one that it will replace. It is removed if it does not do so.
pub(crate) struct Replacement(NamedTempFile);

impl Replacement {
    /// Creates a file for the folder of `path`, with the permissions `mode`, and lets `write` fill it.
    ///
    /// Systems without such permissions ignore `mode`.
    pub(crate) fn new(
        path: &Path,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Self, CommandError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = Builder::new().prefix(".dogpile-").tempfile_in(folder).and_then(|mut file| {
            write(file.as_file_mut())?;
            if let Some(permissions) = permissions(mode) {
                file.as_file().set_permissions(permissions)?;
            }
            // A crash of the system after the rename must not leave an empty file.
            file.as_file().sync_all()?;
            Ok(file)
        });
        written.map(Replacement).map_err(CommandError::file("written", path))
    }

    /// Replaces the file at `path`.
    pub(crate) fn take_place(self, path: &Path) -> Result<(), CommandError> {
        let replaced = self.0.persist(path).map_err(|error| error.error);
        replaced.map(drop).map_err(CommandError::file("written", path))
    }
}

#[cfg(unix)]
fn permissions(mode: u32) -> Option<Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn permissions(_mode: u32) -> Option<Permissions> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let failed = Replacement::new(&path, 0o644, |_| Err(io::Error::other("full")));
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_link_is_replaced_and_not_followed() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("file"), folder.path().join("target"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let new = Replacement::new(&path, 0o640, |file| file.write_all(b"new")).ok().unwrap();
        new.take_place(&path).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o640);
    }
}
