//! Inspects a library before the dynamic linker opens it.
//!
//! A truncated library would end the process with SIGBUS, and opening any library runs its initializers.

use std::cell::OnceCell;
use std::path::Path;

use object::read::NameOrOrdinal;
use object::{Architecture, Object, ObjectKind, ObjectSegment};

use super::file;
use super::permission::{self, Refusal};
use crate::registry::LibraryProblem;
use crate::sha256::sha256_hex;

/// The architecture of this host, if `object` knows it.
const ARCHITECTURE: Option<Architecture> = if cfg!(target_arch = "x86_64") {
    Some(Architecture::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Architecture::Aarch64)
} else {
    None
};

/// The largest library that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// A library that can be opened without harm.
pub(super) struct Inspected {
    /// The contents of the file.
    pub(super) bytes: Vec<u8>,
    sha256: OnceCell<String>,
}

impl Inspected {
    /// Returns the hexadecimal SHA-256 of the contents, in lower case. It is computed when it is first needed.
    pub(super) fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| sha256_hex(&self.bytes))
    }
}

/// Reads the library at the canonical `path`. Returns an error unless it can be opened without harm.
///
/// `announced` is the SHA-256 in its manifest, if there is one, and `pins` are those that the application requires.
pub(super) fn read(
    path: &Path,
    announced: Option<&str>,
    pins: &[String],
) -> Result<Inspected, LibraryProblem> {
    let bytes = file::read(path, MAX_BYTES).map_err(refused)?;
    permission::check_folder(path.parent().unwrap_or(path)).map_err(refused)?;
    let inspected = Inspected { bytes, sha256: OnceCell::new() };
    if announced.is_some() || !pins.is_empty() {
        check_hash(inspected.sha256(), announced, pins)?;
    }
    check_content(&inspected.bytes)?;
    Ok(inspected)
}

/// Converts to the problem of a library.
pub(super) fn refused(refusal: Refusal) -> LibraryProblem {
    match refusal {
        Refusal::Unreadable(error) => LibraryProblem::Unreadable(error),
        Refusal::Unsafe(problem) => LibraryProblem::Unsafe(problem),
        Refusal::NotAFile | Refusal::TooLarge(_) => {
            LibraryProblem::NotALibrary(format!("not a library: {refusal}"))
        }
    }
}

fn check_hash(found: &str, announced: Option<&str>, pins: &[String]) -> Result<(), LibraryProblem> {
    let differs = |expected: &str| !found.eq_ignore_ascii_case(expected);
    if let Some(expected) = pins.iter().find(|pin| differs(pin)) {
        return Err(LibraryProblem::Pin { expected: expected.clone(), found: found.to_owned() });
    }
    match announced.filter(|announced| differs(announced)) {
        Some(expected) => {
            Err(LibraryProblem::Hash { expected: expected.to_owned(), found: found.to_owned() })
        }
        None => Ok(()),
    }
}

fn check_content(bytes: &[u8]) -> Result<(), LibraryProblem> {
    let not_one = |why: String| LibraryProblem::NotALibrary(why);
    let parsed = object::FileKind::parse(bytes)
        .map_err(|_| not_one("not a library: the file has no header of one".to_owned()))?;
    let damaged = |error| {
        not_one(format!("the library is truncated or damaged ({parsed:?}: {error}); install it again"))
    };
    let file = object::File::parse(bytes).map_err(damaged)?;
    if ARCHITECTURE.is_some_and(|ours| ours != file.architecture()) {
        let found = format!("{:?}", file.architecture());
        return Err(LibraryProblem::Architecture { found, expected: std::env::consts::ARCH });
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(not_one(format!("not a dynamic library: the file is {:?}", file.kind())));
    }
    // The linker maps the segments. Touching a page past the end of the file would raise SIGBUS.
    file.segments().try_for_each(|segment| segment.data().map(|_| ())).map_err(damaged)?;
    for export in file.exports().map_err(damaged)? {
        if matches!(export.map_err(damaged)?.name(), NameOrOrdinal::Name(name) if is_header(name)) {
            return Ok(());
        }
    }
    Err(LibraryProblem::Open(dogpile_abi::OpenError::NotAPlugin))
}

/// Returns whether `symbol` is the header of a plugin. Some systems put a `_` before every symbol.
fn is_header(symbol: &[u8]) -> bool {
    symbol.strip_prefix(b"_").unwrap_or(symbol) == dogpile_abi::HEADER_SYMBOL.as_bytes()
}
