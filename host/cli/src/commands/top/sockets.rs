//! [`Sockets`]: where the processes are whose statistics are shown.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands for the process ID in a path.
const PID: &str = "{pid}";

/// The most sockets that are shown.
const MOST: usize = 64;

/// The paths of sockets: of a command line, or of a configuration.
#[derive(Debug)]
pub(super) struct Sockets(Vec<PathBuf>);

impl Sockets {
    /// Creates the sockets at `paths`. A folder stands for all sockets in it, and `{pid}` for any process ID.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Sockets(paths)
    }

    /// Returns whether there is no path.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sockets that are there now, and how many are left out. A path that stands for none is returned itself.
    pub(super) fn find(&self) -> (Vec<PathBuf>, usize) {
        let mut found: Vec<PathBuf> = self.0.iter().flat_map(|path| Self::at(path)).collect();
        found.sort();
        found.dedup();
        let left_out = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        (found, left_out)
    }

    fn at(path: &Path) -> Vec<PathBuf> {
        let found = match path.to_str() {
            _ if path.is_dir() => files(path, is_socket),
            Some(text) if text.contains(PID) => of_processes(path),
            _ => Vec::new(),
        };
        if found.is_empty() { vec![path.to_owned()] } else { found }
    }
}

/// Returns the paths that `pattern` stands for.
fn of_processes(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern {
        let split = part.to_str().and_then(|part| part.split_once(PID));
        found = match split {
            None => found.into_iter().map(|base| base.join(part)).collect(),
            Some((before, after)) => {
                let is_of_process = |path: &Path| {
                    let name = path.file_name().and_then(OsStr::to_str);
                    let middle = name.and_then(|name| name.strip_prefix(before)?.strip_suffix(after));
                    middle.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
                };
                let folder =
                    |base: &PathBuf| if base.as_os_str().is_empty() { ".".into() } else { base.clone() };
                found.iter().flat_map(|base| files(&folder(base), is_of_process)).collect()
            }
        };
    }
    found
}

/// Returns the files of `folder` that `is_meant`. A folder that cannot be read has none.
fn files(folder: &Path, is_meant: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| is_meant(path)).collect()
}

#[cfg(unix)]
fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_socket(_path: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn folder_and_pattern_stand_for_the_sockets_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let found = |path: PathBuf| Sockets::new(vec![path]).find().0;
        assert_eq!(found(at("a-{pid}.sock")), [at("a-{pid}.sock")]);
        fs::write(at("a-x.sock"), "").unwrap();
        fs::write(at("text"), "").unwrap();
        let _open = ["a-12.sock", "a-7.sock"].map(|name| UnixListener::bind(at(name)).unwrap());
        assert_eq!(found(at("a-{pid}.sock")), [at("a-12.sock"), at("a-7.sock")]);
        assert_eq!(found(folder.path().to_owned()), [at("a-12.sock"), at("a-7.sock")]);
        assert_eq!(found(at("absent")), [at("absent")]);
        let twice = Sockets::new(vec![at("a-7.sock"), folder.path().to_owned()]);
        assert_eq!(twice.find().0.len(), 2);
    }

    #[test]
    fn too_many_sockets_are_counted() {
        let many = Sockets::new((0..MOST + 3).map(|number| PathBuf::from(format!("{number:03}"))).collect());
        let (found, left_out) = many.find();
        assert_eq!((found.len(), left_out), (MOST, 3));
    }
}
