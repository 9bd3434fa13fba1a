//! Creates files that only the allowed users can open. Opens lock files without following symbolic links.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use dogpile_sdk::{BackendError, ErrorKind};

use crate::error::{NOT_ACCESSIBLE, folder_of, inaccessible, unusable};

/// The reason for a refused symbolic link.
const LINK: &str = "it is a symbolic link, and lock files do not follow those; name another file";

/// How often opening a lock file is tried, because another process may remove and create it.
const TRIES: usize = 8;

/// Returns an error if the directory of the cache file `path` is missing.
///
/// Check it before a lock file is opened, so that the error names the cache file.
pub(crate) fn check_folder(path: &Path) -> Result<(), BackendError> {
    match fs::metadata(folder_of(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(unusable(path, ErrorKind::Unavailable, NOT_ACCESSIBLE).with_source(error))
        }
        _ => Ok(()),
    }
}

/// Creates the cache file `path` with the given mode if it is missing.
///
/// The files that SQLite and LMDB put beside it get its mode or a stricter one.
pub(crate) fn cache_file(path: &Path, mode: u32) -> Result<(), BackendError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && has_one_name(&found) => Ok(()),
        Ok(found) if found.is_file() => {
            let why = "it has several names (hard links), whose users would not exclude each other; copy it to a name \
                       of its own";
            Err(unusable(path, ErrorKind::Configuration, why))
        }
        Ok(_) => {
            let why = "it is not a regular file; name another file";
            Err(unusable(path, ErrorKind::Configuration, why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing_file(path, mode),
        Err(error) => Err(unusable(path, ErrorKind::Unavailable, NOT_ACCESSIBLE).with_source(error)),
    }
}

#[cfg(unix)]
fn has_one_name(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.nlink() <= 1
}

#[cfg(not(unix))]
fn has_one_name(_file: &fs::Metadata) -> bool {
    true
}

fn missing_file(path: &Path, mode: u32) -> Result<(), BackendError> {
    match new_file(path, mode) {
        // Another process was faster, or the path is a symbolic link to nothing, which opening the file will report.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unusable(path, ErrorKind::Unavailable, NOT_ACCESSIBLE).with_source(error)),
    }
}

/// Creates the file `path`, which LMDB opens beside its file, if it is missing. It must not be a symbolic link.
///
/// The file is not opened if it exists, because closing it would release the locks of this process on it.
pub(crate) fn companion(path: &Path, mode: u32) -> Result<(), BackendError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(lock_failed(path, LINK)),
        _ => cache_file(path, mode),
    }
}

/// Opens the lock file `path`, creating it with the given mode if it is missing.
pub(crate) fn lock_file(path: &Path, mode: u32) -> Result<File, BackendError> {
    match open_or_create(path, mode) {
        Ok(file) if file.metadata().is_ok_and(|found| found.is_file()) => Ok(file),
        Ok(_) => Err(lock_failed(path, "it is not a regular file; name another file")),
        Err(error) if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) => {
            Err(lock_failed(path, LINK).with_source(error))
        }
        Err(error) => Err(lock_failed(path, &inaccessible(path)).with_source(error)),
    }
}

fn lock_failed(path: &Path, why: &str) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, format!("cannot open lock file {path:?}: {why}"))
}

fn open_or_create(path: &Path, mode: u32) -> io::Result<File> {
    let mut outcome = open_existing(path);
    for _ in 0..TRIES {
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => outcome = new_file(path, mode),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => outcome = open_existing(path),
            _ => break,
        }
    }
    outcome
}

#[cfg(unix)]
fn open_existing(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Creates a file that does not exist yet, with its mode. No other user can open it before.
#[cfg(unix)]
fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    if mode != 0o600 {
        // The process's umask does not apply to an explicit mode.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn new_file(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn created_files_have_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o666] {
            let path = folder.path().join(format!("{mode:o}"));
            lock_file(&path, mode).unwrap();
            cache_file(&path, 0o600).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn symbolic_link_is_not_a_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        symlink(&target, &link).unwrap();
        let refused = |link: &Path| lock_file(link, 0o600).unwrap_err().to_string();
        assert!(refused(&link).contains("it is a symbolic link, and lock files do not follow those"));
        assert!(!target.exists());
        fs::write(&target, "secret").unwrap();
        assert!(refused(&link).contains("it is a symbolic link"));
        assert!(refused(folder.path()).contains("cannot open lock file"));
    }

    #[test]
    fn companion_is_created_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        companion(&target, 0o640).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        symlink(&target, &link).unwrap();
        assert!(companion(&link, 0o600).unwrap_err().to_string().contains("it is a symbolic link"));
    }

    #[test]
    fn file_with_two_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        cache_file(&one, 0o600).unwrap();
        fs::hard_link(&one, &two).unwrap();
        for path in [&one, &two] {
            let error = cache_file(path, 0o600).unwrap_err();
            assert!(error.to_string().contains("it has several names (hard links)"), "{error}");
        }
        fs::remove_file(&two).unwrap();
        cache_file(&one, 0o600).unwrap();
    }

    #[test]
    fn folder_is_not_a_cache_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = cache_file(folder.path(), 0o600).unwrap_err();
        assert!(error.to_string().ends_with("it is not a regular file; name another file"), "{error}");
    }
}
