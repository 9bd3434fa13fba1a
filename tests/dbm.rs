//! The file backends under a region, over real files and with other processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "dbm/faults.rs"]
mod faults;
#[path = "dbm/hostile.rs"]
mod hostile;
#[path = "dbm/locks.rs"]
mod locks;
#[path = "dbm/processes.rs"]
mod processes;
#[path = "dbm/python.rs"]
mod python;

use std::path::{Path, PathBuf};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::regions::region_of;
use serde_json::{Value, json};
use tempfile::TempDir;

const DBM: &str = "dogpile.cache.dbm";
const LMDB: &str = "dogpile.cache.lmdb";

/// A file in a folder of its own, and the backend that uses it.
struct Place {
    folder: TempDir,
    backend: &'static str,
}

impl Place {
    fn new(backend: &'static str) -> Self {
        Place { folder: dogpile_tests::servers::folder(), backend }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Returns the configuration of a process over the file, with the further arguments `more`.
    fn configuration(&self, more: Value) -> Value {
        configuration(self.backend, &self.file(), more)
    }

    /// Returns a region of this process over the file.
    fn region(&self) -> CacheRegion {
        region_over(self.backend, &self.file())
    }
}

fn configuration(backend: &str, file: &Path, more: Value) -> Value {
    let mut arguments = json!({ "filename": file });
    if backend == LMDB {
        // The machine does not fail in these tests.
        arguments["synchronous"] = json!("off");
    }
    if let (Value::Object(arguments), Value::Object(more)) = (&mut arguments, more) {
        arguments.extend(more);
    }
    json!({ "backend": backend, "arguments": arguments })
}

fn region_over(backend: &str, file: &Path) -> CacheRegion {
    let arguments = configuration(backend, file, json!({}))["arguments"].take();
    region_of("over a file", RegionConfig::new(backend).arguments(arguments))
}
