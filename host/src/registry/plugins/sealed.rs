//! Opens pinned libraries from sealed memory files.
//!
//! A file could be replaced after it was compared with its pin, and before the dynamic linker reads it. A sealed memory file
//! holds the bytes that were compared, and cannot be changed, not even by this process. Libraries with the same contents
//! are opened once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dogpile_abi::{HostRef, OpenError, OpenLibrary};
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::host_log::TracingHost;
use super::inspect::Inspected;
use crate::registry::LibraryProblem;

/// Where the system shows the open files of this process.
const OPEN_FILES: &str = "/proc/self/fd";

/// The longest name of a memory file, in bytes.
const MAX_NAME: usize = 249;

/// A library in a sealed memory file.
struct Sealed {
    path: PathBuf,
    /// Kept open, because backtraces read their symbols from `path`.
    _file: File,
    opened: Option<OpenLibrary>,
}

/// The sealed libraries, by the SHA-256 of their contents.
static SEALED: Mutex<BTreeMap<String, Sealed>> = Mutex::new(BTreeMap::new());

/// Opens a sealed copy of the library that was read from `path`.
///
/// # Errors
/// If the system refuses the copy. There is no fallback: without it, the pin would promise too much.
pub(super) fn open(path: &Path, inspected: &Inspected) -> Result<OpenLibrary, LibraryProblem> {
    let mut all = SEALED.lock();
    let number = all.len();
    let sealed = match all.get_mut(inspected.sha256()) {
        Some(sealed) => sealed,
        None => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let sealed = Sealed::new(&name, &inspected.bytes, number, Path::new(OPEN_FILES))?;
            all.entry(inspected.sha256().to_owned()).or_insert(sealed)
        }
    };
    if let Some(opened) = sealed.opened {
        return Ok(opened);
    }
    let opened =
        OpenLibrary::open(&sealed.path, HostRef::of::<TracingHost>()).map_err(|error| match error {
            OpenError::Link(_) => LibraryProblem::SealedLink(error),
            other => LibraryProblem::Open(other),
        })?;
    sealed.opened = Some(opened);
    Ok(opened)
}

impl Sealed {
    /// Copies `bytes` to a new memory file and seals it. `number` is the number of those that exist.
    fn new(name: &str, bytes: &[u8], number: usize, open_files: &Path) -> Result<Self, LibraryProblem> {
        let failed = |step| move |source| LibraryProblem::Unsealed { step, source };
        let mut file = File::from(create(name).map_err(failed("memfd_create"))?);
        file.write_all(bytes).map_err(failed("writing to memory"))?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).map_err(|error| failed("sealing the memory")(error.into()))?;
        let path = path_of(&file, number, open_files).map_err(failed("finding it in /proc/self/fd"))?;
        Ok(Sealed { path, _file: file, opened: None })
    }
}

fn create(name: &str) -> io::Result<OwnedFd> {
    let mut ends = (0..=name.len().min(MAX_NAME)).rev();
    let name = &name[..ends.find(|end| name.is_char_boundary(*end)).unwrap_or_default()];
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // The file is mapped and never executed as a program, so that systems may forbid that (`vm.memfd_noexec`).
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know the flag.
        Err(Errno::INVAL) => memfd_create(name, flags).map_err(Into::into),
        created => created.map_err(Into::into),
    }
}

/// Returns a path of `file` that no library had before.
fn path_of(file: &File, number: usize, open_files: &Path) -> io::Result<PathBuf> {
    // The dynamic linker returns the library that it opened under the same path before. If a program closes files that
    // are not its own, as some daemons do, a descriptor can have the number of an earlier one.
    let path = format!("{}/{}{}", open_files.display(), "./".repeat(number), file.as_raw_fd());
    let (found, meant) = (std::fs::metadata(&path)?, file.metadata()?);
    if (found.dev(), found.ino()) != (meant.dev(), meant.ino()) {
        return Err(io::Error::other(format!("{path} is another file")));
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn sealed_copy_has_the_bytes_and_cannot_be_changed() {
        let sealed = Sealed::new("libtested.so", b"contents", 3, Path::new(OPEN_FILES)).unwrap();
        assert!(sealed.path.to_str().unwrap().starts_with("/proc/self/fd/./././"));
        assert_eq!(std::fs::read(&sealed.path).unwrap(), b"contents");
        let shown = std::fs::read_link(&sealed.path).unwrap();
        assert_eq!(shown.to_str().unwrap(), "/memfd:libtested.so (deleted)");

        let open = || std::fs::OpenOptions::new().write(true).open(&sealed.path);
        assert!(open().and_then(|mut file| file.write_all(b"changed")).is_err());
        assert!(open().and_then(|file| file.set_len(0)).is_err());
        assert!(open().and_then(|file| file.set_len(100)).is_err());
        assert!(fcntl_add_seals(&sealed._file, SealFlags::FUTURE_WRITE).is_err());
        assert_eq!(std::fs::read(&sealed.path).unwrap(), b"contents");
    }

    #[test]
    fn long_name_is_cut() {
        let sealed = Sealed::new(&"ä".repeat(200), b"contents", 0, Path::new(OPEN_FILES)).unwrap();
        assert_eq!(std::fs::read(&sealed.path).unwrap(), b"contents");
    }

    /// Without `/proc`, nothing is opened, instead of the file that was read.
    #[test]
    fn system_without_proc_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let Err(problem) = Sealed::new("libtested.so", b"contents", 0, folder.path()) else {
            panic!("it was not refused")
        };
        let text = problem.to_string();
        assert!(
            text.contains("finding it in /proc/self/fd failed; let this process use memfd_create"),
            "{text}"
        );
        assert!(problem.source().unwrap().to_string().contains("No such file"));
    }

    #[test]
    fn wrong_file_in_proc_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        std::fs::write(folder.path().join(file.as_raw_fd().to_string()), "").unwrap();
        let error = path_of(&file, 0, folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("is another file"), "{error}");
    }
}
