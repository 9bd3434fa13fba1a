//! A backend of the application's own, found by its name. It stores each key in a file of a folder.
//!
//! `cargo run --example custom_backend`

use std::path::PathBuf;
use std::{fs, io};

use dogpile::sdk::{BackendError, BytesBackend, ErrorKind, StoreOptions, register_backend};
use dogpile::{CacheRegion, RegionConfig};
use serde::Deserialize;

/// Arguments of the `acme.folder` entry point.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderConfig {
    path: PathBuf,
}

register_backend! {
    name: "acme.folder",
    config: FolderConfig,
    build: |config: FolderConfig| {
        fs::create_dir_all(&config.path)?;
        Ok::<_, io::Error>(Folder { path: config.path })
    },
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the file of `key`. Its name is the key in hexadecimal digits, which every file system accepts.
    fn file(&self, key: &str) -> PathBuf {
        self.path.join(key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

fn failed(error: io::Error) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "the folder cannot be used").with_source(error)
}

/// The backend stores bytes. The SDK serializes the values and adds their creation times.
impl BytesBackend for Folder {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        match fs::read(self.file(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn set(&self, key: &str, value: &[u8], _options: &StoreOptions) -> Result<(), BackendError> {
        // Write another file first and rename it, so that no reader sees a part of the value.
        let file = self.file(key);
        let aside = file.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::write(&aside, value).and_then(|()| fs::rename(aside, file)).map_err(failed)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        match fs::remove_file(self.file(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("dogpile-custom-backend-{}", std::process::id()));
    let region = CacheRegion::new("greetings");
    region.configure(RegionConfig::new("acme.folder").argument("path", &path))?;

    let greeting = || region.get_or_create("ada", || format!("made by process {}", std::process::id()));
    println!("first:  {}", greeting()?);
    println!("second: {} (not made again)", greeting()?);
    for file in fs::read_dir(&path)? {
        let file = file?.path();
        println!("{} holds {}", file.display(), String::from_utf8_lossy(&fs::read(&file)?));
    }
    Ok(fs::remove_dir_all(path)?)
}
