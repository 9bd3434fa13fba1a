//! Reads files up to a limit, if other users cannot change them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::permission::{self, Refusal};

/// Returns the contents of the file at the canonical `path`, which must be a regular file of at most `limit` bytes.
///
/// # Errors
/// If the file is another one, cannot be read, or can be changed by others.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    read_all(permission::open(path)?, limit)
}

fn read_all(file: File, limit: u64) -> Result<Vec<u8>, Refusal> {
    let size = file.metadata()?.len();
    if size > limit {
        return Err(Refusal::TooLarge(limit));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // The file may grow meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::TooLarge(limit));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_above_the_limit_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(Refusal::TooLarge(4))));
    }

    /// The size of an endless file is 0, so that only reading it shows its length.
    #[test]
    #[cfg(unix)]
    fn endless_file_is_read_up_to_the_limit() {
        let endless = File::open("/dev/zero").unwrap();
        assert!(matches!(read_all(endless, 1000), Err(Refusal::TooLarge(1000))));
    }
}
