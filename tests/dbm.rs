//! The file backends under a region, over real files and with other processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "dbm/faults.rs"]
mod faults;
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

/// A file in a folder of its own, and the backend that is to have it.
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

    /// For a process whose region is over the file; `more` are further arguments.
    fn configuration(&self, more: Value) -> Value {
        configuration(self.backend, &self.file(), more)
    }

    /// A region of this process over the file.
    fn region(&self) -> CacheRegion {
        region_over(self.backend, &self.file())
    }
}

fn configuration(backend: &str, file: &Path, more: Value) -> Value {
    let mut arguments = json!({ "filename": file });
    if backend == LMDB {
        // Nothing here lets the machine fail.
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
