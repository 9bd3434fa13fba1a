//! Refuses files and folders that others may write: whoever can replace a library runs code in this process.

use std::path::Path;

/// Whether only root, or the user of this process, may change what is at `path`.
///
/// # Errors
/// A text that says who else may, and what to do.
#[cfg(unix)]
pub(super) fn check(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    let mode = metadata.mode();
    if mode & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(format!(
            "others than its owner may write to {} (mode {:03o}); `chmod go-w` it",
            path.display(),
            mode & 0o777
        ));
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && owner != user {
        return Err(format!(
            "{} belongs to user {owner}, who is neither root nor the user {user} of this process; `chown` it",
            path.display()
        ));
    }
    Ok(())
}

/// On this system nothing is checked.
#[cfg(not(unix))]
pub(super) fn check(_path: &Path) -> Result<(), String> {
    Ok(())
}
