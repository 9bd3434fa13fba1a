//! [`SocketPath`]: the path of a statistics socket, as a configuration gives it.

use std::fmt;
use std::path::{Path, PathBuf};

use dogpile_sdk::process_id;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// What stands for the process ID.
const PID: &str = "{pid}";

/// The path of a statistics socket. `{pid}` in it stands for the process ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SocketPath(String);

impl SocketPath {
    /// Returns the path, which starts at `folder` if it is relative. `{pid}` is left as it is.
    pub(crate) fn written(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }

    /// Returns the path for this process.
    pub(crate) fn of_this_process(&self, folder: &Path) -> PathBuf {
        folder.join(self.0.replace(PID, &process_id().to_string()))
    }
}

impl<'de> Deserialize<'de> for SocketPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PathVisitor)
    }
}

struct PathVisitor;

impl Visitor<'_> for PathVisitor {
    type Value = SocketPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a socket, such as \"/run/app/dogpile-{pid}.sock\"")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<SocketPath, E> {
        let rest = path.replace(PID, "");
        if path.is_empty() || path.ends_with('/') || rest.contains(['{', '}', '\0']) {
            return Err(E::custom(format_args!(
                "invalid path of a socket {path:?}: expected a path such as \"/run/app/dogpile.sock\", in which {PID} may \
                 stand for the process ID"
            )));
        }
        Ok(SocketPath(path.to_owned()))
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    fn read(path: &str) -> Result<SocketPath, Error> {
        let text: StrDeserializer<'_, Error> = path.into_deserializer();
        SocketPath::deserialize(text)
    }

    #[test]
    fn pid_is_replaced_and_relative_paths_start_at_the_folder() {
        let path = read("run/{pid}.sock").unwrap();
        let of_process = format!("/etc/app/run/{}.sock", std::process::id());
        assert_eq!(path.of_this_process(Path::new("/etc/app")), Path::new(&of_process));
        assert_eq!(path.written(Path::new("/etc/app")), Path::new("/etc/app/run/{pid}.sock"));
        let absolute = read("/run/a.sock").unwrap();
        assert_eq!(absolute.of_this_process(Path::new("/etc/app")), Path::new("/run/a.sock"));
    }

    #[test]
    fn path_without_a_name_or_with_other_braces_is_refused() {
        for path in ["", "/run/", "/run/{id}.sock", "/run/{pid.sock", "a\0b"] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid path of a socket {path:?}: expected")), "{error}");
        }
    }
}
