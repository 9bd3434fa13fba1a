//! The statistics socket of a process that forks: each process serves its own, and ends only its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process;
    use std::time::Duration;

    use dogpile::Configuration;
    use fork::{Fork, WEXITSTATUS, WIFEXITED};
    use serde_json::Value;

    /// The time after which a process ends itself with a failure.
    const LIMIT: Duration = Duration::from_secs(60);

    pub(crate) fn main() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("regions.toml");
        let document =
            "[statistics]\nsocket = 'app-{pid}.sock'\n[regions.a]\nbackend = 'dogpile.cache.memory'";
        fs::write(&file, document).unwrap();
        let configuration = Configuration::from_file(&file).unwrap();
        let regions = configuration.regions().unwrap();
        let of_parent = socket(folder.path());
        assert_eq!(serving(&of_parent), u64::from(process::id()));
        match fork::fork().unwrap() {
            Fork::Child => {
                end_in_time();
                let of_child = socket(folder.path());
                assert!(!of_child.exists() && of_parent.exists());
                let own = configuration.regions().unwrap();
                assert_eq!(serving(&of_child), u64::from(process::id()));
                // The copies of the parent's regions end without the parent's socket.
                drop(regions);
                assert!(of_parent.exists());
                drop(own);
                assert!(!of_child.exists());
                // The parent removes the folder.
                process::exit(0);
            }
            Fork::Parent(child) => {
                let status = fork::waitpid(child).unwrap();
                assert!(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with {status}");
            }
        }
        end_in_time();
        assert_eq!(serving(&of_parent), u64::from(process::id()), "the parent serves on");
        drop(regions);
        assert!(!of_parent.exists());
        println!("a forked process has a socket of its own ... ok");
    }

    /// Ends this process with a failure if it takes too long.
    fn end_in_time() {
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            eprintln!("process {} takes too long", process::id());
            process::exit(1);
        });
    }

    /// Returns the path of the socket of this process.
    fn socket(folder: &Path) -> PathBuf {
        folder.join(format!("app-{}.sock", process::id()))
    }

    /// Returns the ID of the process that serves the socket at `path`.
    fn serving(path: &Path) -> u64 {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"statistics\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["pid"].as_u64().unwrap()
    }
}
