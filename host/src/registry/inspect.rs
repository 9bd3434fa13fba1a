//! Looks a library over before the dynamic linker does: a truncated one would end the process with SIGBUS, and
//! opening any runs its initialisers.

use std::fmt::Write;
use std::path::Path;

use object::read::NameOrOrdinal;
use object::{Architecture, Object, ObjectKind, ObjectSegment};
use sha2::{Digest, Sha256};

use super::error::LibraryProblem;
use super::permission;

/// The architecture that this host runs on, as `object` knows it.
const ARCHITECTURE: Option<Architecture> = if cfg!(target_arch = "x86_64") {
    Some(Architecture::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Architecture::Aarch64)
} else {
    None
};

/// Whether the library at `path`, a canonical path, can be opened without harm. `announced` is the SHA-256 that its
/// manifest says it has, if any, and `pins` are those that the application says.
pub(super) fn check(path: &Path, announced: Option<&str>, pins: &[String]) -> Result<(), LibraryProblem> {
    if !path.is_file() {
        return Err(LibraryProblem::NotALibrary("it is not a library: it is no file".to_owned()));
    }
    let folder = path.parent().unwrap_or(path);
    permission::check(folder).and_then(|()| permission::check(path)).map_err(LibraryProblem::Unsafe)?;
    let bytes = std::fs::read(path).map_err(LibraryProblem::Unreadable)?;
    if announced.is_some() || !pins.is_empty() {
        check_hash(&hexadecimal(&bytes), announced, pins)?;
    }
    check_content(&bytes)
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

/// The SHA-256 of the file at `path`, in hexadecimal digits.
pub(super) fn sha256_of(path: &Path) -> Result<String, LibraryProblem> {
    std::fs::read(path).map(|bytes| hexadecimal(&bytes)).map_err(LibraryProblem::Unreadable)
}

fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn check_content(bytes: &[u8]) -> Result<(), LibraryProblem> {
    let not_one = |why: String| LibraryProblem::NotALibrary(why);
    let parsed = object::FileKind::parse(bytes)
        .map_err(|_| not_one("it is not a library: it has no header of one".to_owned()))?;
    let damaged =
        |error| not_one(format!("it is truncated or damaged ({parsed:?}: {error}); install it again"));
    let file = object::File::parse(bytes).map_err(damaged)?;
    if ARCHITECTURE.is_some_and(|ours| ours != file.architecture()) {
        let found = format!("{:?}", file.architecture());
        return Err(LibraryProblem::Architecture { found, expected: std::env::consts::ARCH });
    }
    if file.kind() != ObjectKind::Dynamic {
        return Err(not_one(format!("it is not a dynamic library but {:?}", file.kind())));
    }
    // The linker maps the segments, and touching a page past the end of the file is what raises SIGBUS.
    file.segments().try_for_each(|segment| segment.data().map(|_| ())).map_err(damaged)?;
    for export in file.exports().map_err(damaged)? {
        if matches!(export.map_err(damaged)?.name(), NameOrOrdinal::Name(name) if is_header(name)) {
            return Ok(());
        }
    }
    Err(LibraryProblem::Open(dogpile_abi::OpenError::NotAPlugin))
}

/// Whether `symbol` is a plugin's header; some systems put a `_` before every symbol.
fn is_header(symbol: &[u8]) -> bool {
    symbol.strip_prefix(b"_").unwrap_or(symbol) == dogpile_abi::HEADER_SYMBOL.as_bytes()
}
