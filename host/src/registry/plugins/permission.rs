//! Rejects files and folders that other users can write to. A user who can replace a library runs code in this
//! process.

use std::path::Path;

/// Returns an error unless only root or the user of this process can change `path`.
///
/// # Errors
/// A text with the reason and what to do.
#[cfg(unix)]
pub(super) fn check(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    let (path, mode) = (path.display(), metadata.mode());
    if mode & GROUP_OR_OTHERS_WRITE != 0 {
        let mode = mode & 0o777;
        return Err(format!(
            "users other than its owner can write to {path} (mode {mode:03o}); run \"chmod go-w {path}\""
        ));
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && owner != user {
        return Err(format!(
            "{path} belongs to user {owner}, which is neither root nor the user {user} of this process; change its \
             owner"
        ));
    }
    Ok(())
}

/// Accepts every file: this system has no such permissions.
#[cfg(not(unix))]
pub(super) fn check(_path: &Path) -> Result<(), String> {
    Ok(())
}
