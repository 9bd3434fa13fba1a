//! Where the programs of PostgreSQL are. The build script and the tests share this file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of the newest PostgreSQL server on this machine.
///
/// Debian and Red Hat keep the programs of each version in a folder of their own, and out of `PATH`.
pub(crate) fn programs() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&paths).find(|folder| has_server(folder));
    in_path.or_else(|| {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(_, folder)| has_server(folder))
            .collect();
        versions.sort();
        versions.pop().map(|(_, folder)| folder)
    })
}

fn has_server(folder: &Path) -> bool {
    ["initdb", "postgres", "psql", "pg_isready"].iter().all(|program| folder.join(program).is_file())
}
