//! Replaces files as a whole: a reader sees the old or the new file.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::{CommandError, causes};

/// The mode of a file that only its owner can read.
const PRIVATE: u32 = 0o600;

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

    /// Replaces the file at `path`. A symbolic link is replaced, and not followed.
    pub(crate) fn take_place(self, path: &Path) -> Result<(), CommandError> {
        let replaced = self.0.persist(path).map_err(|error| error.error);
        replaced.map(drop).map_err(CommandError::file("written", path))
    }
}

/// Writes `text`, which may contain passwords, to the file at `path`. Only its owner can read a new file.
///
/// If the file exists, it is overwritten as a whole. It keeps its owner, its group, and its mode, except that users outside
/// of the group lose access. A symbolic link is followed. Returns the mode of the file, if its group can read it.
///
/// # Errors
/// If the file exists and `overwrites` is false, or it cannot be written.
pub(crate) fn write_private(path: &Path, text: &str, overwrites: bool) -> Result<Option<u32>, CommandError> {
    let old = match path.canonicalize() {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return Err(CommandError::other(format!(
                "{path:?} cannot be written: it is a link to a file that does not exist; remove the link"
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(path, text).map(|()| None),
        Err(error) => return Err(CommandError::file("written", path)(error)),
    };
    if !overwrites {
        return Err(exists(path));
    }
    let metadata = std::fs::metadata(&old).map_err(CommandError::file("read", path))?;
    if !metadata.is_file() {
        return Err(CommandError::other(format!(
            "{path:?} cannot be written: it is not a file; name a file"
        )));
    }
    let replace = || {
        let new = Replacement::new(&old, PRIVATE, |file| file.write_all(text.as_bytes()))?;
        let mode = like(&new, &old, &metadata).map_err(CommandError::file("written", path))?;
        new.take_place(&old).map(|()| mode)
    };
    let mode = replace().map_err(|error| {
        let advice = "a file is replaced as a whole by its owner or root, in a folder that is writable, and not if it is a \
                      mount; write another file, and copy it";
        CommandError::other(format!("{}; {advice}", causes(&error).join(": ")))
    })?;
    Ok(Some(mode).filter(|mode| mode & 0o040 != 0))
}

/// Creates the file at `path`, which only its owner can read.
fn create(path: &Path, text: &str) -> Result<(), CommandError> {
    let new = Replacement::new(path, PRIVATE, |file| file.write_all(text.as_bytes()))?;
    match new.0.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(CommandError::file("written", path)(error.error)),
    }
}

fn exists(path: &Path) -> CommandError {
    CommandError::other(format!(
        "{path:?} exists, and nothing was written; overwrite it with --force, or name another file"
    ))
}

/// Gives `new` the owner, the group, and the mode of the `old` file, without access for others, and returns the mode.
///
/// If the group or an access control list cannot be kept, only the owner has access.
///
/// # Errors
/// If the owner cannot be kept: only root can give files away.
#[cfg(unix)]
fn like(new: &Replacement, path: &Path, old: &Metadata) -> io::Result<u32> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let (file, mode) = (new.0.as_file(), old.mode() & 0o770);
    if file.metadata()?.uid() != old.uid() {
        fchown(file, Some(old.uid()), None)?;
    }
    let has_group = file.metadata()?.gid() == old.gid() || fchown(file, None, Some(old.gid())).is_ok();
    let mode = if has_group && !has_access_list(path) { mode } else { mode & !0o070 };
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    Ok(mode)
}

/// Returns whether the file has an access control list. The group bits of its mode are then the mask of the list.
#[cfg(target_os = "linux")]
fn has_access_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok_and(|size| size > 0)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn has_access_list(_path: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn like(_new: &Replacement, _path: &Path, _old: &Metadata) -> io::Result<u32> {
    Ok(PRIVATE)
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

    /// A reader that has the old file open still reads all of it.
    #[cfg(unix)]
    #[test]
    fn overwritten_file_is_another_one_without_access_for_others() {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        for (mode, readable) in [(0o644, Some(0o640)), (0o640, Some(0o640)), (0o600, None)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let mut open = File::open(&path).unwrap();
            assert_eq!(write_private(&link, "new", true).ok(), Some(readable));
            let mut read = String::new();
            open.read_to_string(&mut read).unwrap();
            assert_eq!(
                (&*read, &*fs::read_to_string(&path).unwrap()),
                (if mode == 0o644 { "old" } else { "new" }, "new")
            );
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode & 0o770);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn link_to_a_missing_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("missing", &link).unwrap();
        for overwrites in [false, true] {
            let error = write_private(&link, "new", overwrites).err().unwrap().to_string();
            assert!(
                error.ends_with("it is a link to a file that does not exist; remove the link"),
                "{error}"
            );
        }
    }

    /// Root could replace a device such as /dev/null.
    #[test]
    fn folder_and_existing_file_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_private(folder.path(), "new", true).err().unwrap().to_string();
        assert!(error.ends_with("cannot be written: it is not a file; name a file"), "{error}");
        let path = folder.path().join("file");
        assert_eq!(write_private(&path, "one", false).ok(), Some(None));
        let error = write_private(&path, "two", false).err().unwrap().to_string();
        assert!(error.contains("exists, and nothing was written"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
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
