//! Archives of plugins: a library and its manifest in a folder, as `.tar.gz`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Entry, EntryType, Header, HeaderMode};
use tempfile::TempDir;

use crate::error::CommandError;
use crate::plugin_files::is_manifest;
use crate::replacing::Replacement;
use crate::workplace;

/// The largest library that is unpacked, in bytes.
const MAX_LIBRARY: u64 = 1 << 30;
/// The largest manifest that is unpacked, in bytes. A host reads no larger one.
const MAX_MANIFEST: u64 = 64 << 10;
/// The most entries of an archive: the library, its manifest, and their folder.
const MAX_ENTRIES: usize = 3;

/// Returns whether `path` has the name of an archive.
pub(crate) fn is_archive(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.ends_with(".tar.gz") || path.ends_with(".tgz")
}

/// Writes `files` to the archive `out`, below `folder`. The same files make the same archive.
pub(crate) fn write(files: &[&Path], folder: &str, out: &Path) -> Result<(), CommandError> {
    let headers = files.iter().map(|file| header(file, folder)).collect::<Result<Vec<_>, _>>()?;
    let fill = |file: &mut File| {
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::best()));
        for (header, file) in headers.iter().zip(files) {
            archive.append(header, File::open(file)?)?;
        }
        archive.into_inner()?.finish().map(drop)
    };
    Replacement::new(out, 0o644, fill)?.take_place(out)
}

/// Returns the header of `file`, without its owner and time.
fn header(file: &Path, folder: &str) -> Result<Header, CommandError> {
    let metadata = fs::metadata(file).map_err(CommandError::file("read", file))?;
    let name = file.file_name().unwrap_or_default();
    // Long names need no extension in this format, so that reading an archive takes no extension either.
    let mut header = Header::new_ustar();
    header.set_metadata_in_mode(&metadata, HeaderMode::Deterministic);
    header.set_path(Path::new(folder).join(name)).map_err(|error| {
        CommandError::other(format!(
            "file {name:?} of folder {folder:?} cannot be in an archive ({error}); pack into a folder, or use shorter names"
        ))
    })?;
    header.set_cksum();
    Ok(header)
}

/// The unpacked files of an archive. They are removed when the value is dropped.
pub(crate) struct Unpacked {
    pub(crate) manifest: PathBuf,
    /// The temporary folder of the files.
    folder: TempDir,
}

impl Unpacked {
    /// Unpacks the archive at `path` into a temporary folder.
    ///
    /// # Errors
    /// If the archive contains anything except a library and its manifest, directly below one folder.
    pub(crate) fn of(path: &Path) -> Result<Self, CommandError> {
        let failed = |why: &str| {
            let path = path.display();
            CommandError::other(format!(
                "archive {path} cannot be used: {why}; make it with `dogpile plugins pack`"
            ))
        };
        let file = workplace::open_regular(path)?;
        let folder = workplace::temporary_folder()?;
        let files = unpack(file, folder.path()).map_err(|why| failed(&why))?;
        let mut manifests = files.iter().filter(|file| is_manifest(file));
        match (files.len(), manifests.next(), manifests.next()) {
            (2, Some(manifest), None) => Ok(Unpacked { manifest: manifest.clone(), folder }),
            _ => Err(failed("it does not consist of one library and one manifest")),
        }
    }

    /// Returns the temporary folder of the files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Unpacks `archive` into `folder`, and returns the files, or the reason why not.
fn unpack(archive: impl Read, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read ({error})");
    let mut archive = Archive::new(GzDecoder::new(archive));
    let (mut files, mut below) = (Vec::new(), None);
    // Raw entries: extensions could state sizes and names without a limit.
    for (number, entry) in archive.entries().map_err(unreadable)?.raw(true).enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        if number == MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        let (parent, name) = place(&entry)?;
        if *below.get_or_insert_with(|| parent.clone()) != parent {
            return Err("its files are in several folders".to_owned());
        }
        if let Some(name) = name {
            let file = folder.join(&name);
            extract(&mut entry, &file)
                .map_err(|error| format!("file {name:?} cannot be unpacked ({error})"))?;
            files.push(file);
        }
    }
    Ok(files)
}

/// Returns the folder and the name of the file `entry`, or only the folder if it is one.
fn place(entry: &Entry<'_, impl Read>) -> Result<(String, Option<String>), String> {
    let path = entry.path().map_err(|error| format!("it contains an invalid path ({error})"))?;
    let parts = path.components().map(|part| match part {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    let parts = parts.collect::<Option<Vec<String>>>().unwrap_or_default();
    match (entry.header().entry_type(), parts.as_slice()) {
        (EntryType::Directory, [folder]) => Ok((folder.clone(), None)),
        (EntryType::Regular, [folder, name]) => Ok((folder.clone(), Some(name.clone()))),
        (EntryType::Directory | EntryType::Regular, _) => {
            Err(format!("it contains {:?}, which is not directly below one folder", path.display()))
        }
        (kind, _) => {
            Err(format!("it contains {:?}, which is not a regular file but {kind:?}", path.display()))
        }
    }
}

/// Writes the contents of `entry` to the new file `file`.
fn extract(entry: &mut Entry<'_, impl Read>, file: &Path) -> io::Result<()> {
    let limit = if is_manifest(file) { MAX_MANIFEST } else { MAX_LIBRARY };
    let size = entry.size();
    if size > limit {
        return Err(io::Error::other(format!("{size} bytes are more than the limit of {limit} bytes")));
    }
    let copied = io::copy(&mut entry.take(limit), &mut File::create_new(file)?)?;
    if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an archive of entries: a kind, a path, and contents.
    fn archive(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, path, contents) in entries {
            let mut header = Header::new_ustar();
            // The crate refuses to write such paths.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(contents.len() as u64);
            header.set_cksum();
            archive.append(&header, *contents).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let files = unpack(bytes, &folder.path().join("."))?;
        Ok(files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn files_below_one_folder_are_unpacked() {
        let both = [(FILE, "a-1/liba.so", &b"library"[..]), (FILE, "a-1/a.dogpile.toml", b"manifest")];
        let names = ["liba.so", "a.dogpile.toml"].map(str::to_owned).to_vec();
        assert_eq!(unpacked(&archive(&both)), Ok(names.clone()));
        let with_folder = [&[(EntryType::Directory, "a-1/", &b""[..])], &both[..]].concat();
        assert_eq!(unpacked(&archive(&with_folder)), Ok(names));
    }

    #[test]
    fn path_outside_of_the_folder_is_refused() {
        for path in
            ["/etc/liba.so", "../liba.so", "a-1/../../liba.so", "a-1/b/liba.so", "liba.so", "a-1/..", ""]
        {
            let error = unpacked(&archive(&[(FILE, path, b"library")])).unwrap_err();
            assert!(error.contains("not directly below one folder"), "{path}: {error}");
        }
        let two = [(FILE, "a/liba.so", &b"1"[..]), (FILE, "b/a.dogpile.toml", b"2")];
        assert_eq!(unpacked(&archive(&two)), Err("its files are in several folders".to_owned()));
    }

    #[test]
    fn entry_of_another_kind_is_refused() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Fifo,
            EntryType::Char,
            EntryType::GNULongName,
            EntryType::GNUSparse,
            EntryType::XHeader,
            EntryType::XGlobalHeader,
        ] {
            let error = unpacked(&archive(&[(kind, "a-1/liba.so", b"")])).unwrap_err();
            assert!(error.contains("not a regular file"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn large_repeated_and_superfluous_files_are_refused() {
        let manifest = vec![b' '; MAX_MANIFEST as usize + 1];
        let error = unpacked(&archive(&[(FILE, "a/a.dogpile.toml", &manifest)])).unwrap_err();
        assert!(error.contains("more than the limit of 65536 bytes"), "{error}");
        let error = unpacked(&archive(&[(FILE, "a/liba.so", b"1"), (FILE, "a/liba.so", b"2")])).unwrap_err();
        assert!(error.contains("File exists"), "{error}");
        let names = ["a/1", "a/2", "a/3", "a/4"].map(|name| (FILE, name, &b""[..]));
        assert_eq!(unpacked(&archive(&names)), Err("it has more than 3 entries".to_owned()));
    }

    #[test]
    fn truncated_archive_is_refused() {
        let mut header = Header::new_ustar();
        header.set_path("a/liba.so").unwrap();
        header.set_size(MAX_LIBRARY);
        header.set_cksum();
        let mut short = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut short, header.as_bytes()).unwrap();
        assert!(unpacked(&short.finish().unwrap()).unwrap_err().contains("cannot be unpacked"));
        let whole = archive(&[(FILE, "a/liba.so", &[7; 4096])]);
        assert!(unpacked(&whole[..whole.len() / 2]).is_err());
        assert!(unpacked(b"no archive").is_err());
    }
}
