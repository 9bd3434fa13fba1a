//! Opens a library and checks that it is a plugin that this host can talk to.

use std::fmt::Display;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
    check_layout_compatibility_with_globals,
};
use abi_stable::library::{AbiHeader, AbiHeaderRef, LibHeader};
use abi_stable::std_types::RStr;
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};

use crate::backend::BackendObject;
use crate::error::AbiError;
use crate::host::HostRef;
use crate::plugin::{EntryInfo, HEADER_SYMBOL, PluginRootRef};

/// Why a library could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The dynamic linker refused it.
    #[error("the dynamic linker refused it")]
    Link(#[source] libloading::Error),
    /// It exports no plugin header.
    #[error(
        "it is no dogpile plugin: it exports no `{HEADER_SYMBOL}` (does its crate call `export_plugin!`?)"
    )]
    NotAPlugin,
    /// It was built with another abi_stable.
    #[error("it was built with {0}; rebuild it with the dogpile-sdk of this host")]
    Foreign(String),
    /// Its tables are laid out otherwise.
    #[error(
        "its binary interface differs from this host's {host}: {first_difference}; rebuild it with the \
         dogpile-sdk of this host",
        host = crate::ABI_VERSION
    )]
    Layout {
        /// The first of the differences found.
        first_difference: String,
    },
    /// Its root module could not be made.
    #[error("its root module could not be made: {0}")]
    Root(String),
    /// It was built with `panic = "abort"`.
    #[error(
        "it was built with panic = \"abort\", so that a panic in it would end this process; rebuild it with \
         panic = \"unwind\""
    )]
    Aborts,
    /// It refused to start, or panicked.
    #[error("it could not start: {}", .0.parts().message)]
    Init(AbiError),
}

/// A library that was opened, and found to be a plugin. It stays loaded until the process ends.
#[derive(Clone, Copy)]
pub struct OpenLibrary {
    root: PluginRootRef,
}

impl OpenLibrary {
    /// Opens the library at `path`, runs its initialisers, checks its layout and lends it `host`.
    ///
    /// Give the canonical path of a file that was checked to be whole: the dynamic linker raises SIGBUS on a
    /// truncated one. All symbols are bound now, and none of them is visible to other libraries.
    ///
    /// # Errors
    /// [`OpenError`], which says why it was refused.
    pub fn open(path: &Path, host: HostRef) -> Result<Self, OpenError> {
        let header = header_of(path)?;
        check_layout(header)?;
        // SAFETY: the layout of the root module was checked just now.
        let root: PluginRootRef = unsafe { header.unchecked_layout() }
            .map_err(|error| OpenError::Root(first_line(&error.to_string())))?;
        if !root.unwinds() {
            return Err(OpenError::Aborts);
        }
        (root.init())(host).into_result().map_err(OpenError::Init)?;
        Ok(OpenLibrary { root })
    }

    /// The package that the library was built from.
    pub fn package(&self) -> &'static str {
        self.root.package().as_str()
    }

    /// That package's version.
    pub fn version(&self) -> &'static str {
        self.root.version().as_str()
    }

    /// The version of dogpile-sdk that it was built with.
    pub fn sdk_version(&self) -> &'static str {
        self.root.sdk_version().as_str()
    }

    /// The version of dogpile-abi that it was built with.
    pub fn abi_version(&self) -> &'static str {
        self.root.abi_version().as_str()
    }

    /// Returns the compiler that built the library, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub fn compiler(&self) -> &'static str {
        self.root.compiler().as_str()
    }

    /// Returns its entry points.
    ///
    /// # Errors
    /// If the library panicked.
    pub fn entries(&self) -> Result<Vec<EntryInfo>, AbiError> {
        (self.root.entries())().into_result().map(Into::into)
    }

    /// Builds the entry point `name` from `arguments`, a JSON object, around `proxied` if it is a proxy.
    ///
    /// # Errors
    /// What the library answered, or that it panicked.
    pub fn build(
        &self,
        name: &str,
        arguments: &str,
        proxied: Option<BackendObject>,
    ) -> Result<BackendObject, AbiError> {
        (self.root.build())(RStr::from_str(name), RStr::from_str(arguments), proxied.into()).into_result()
    }
}

impl std::fmt::Debug for OpenLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenLibrary({} {})", self.package(), self.version())
    }
}

#[cfg(unix)]
fn link(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: opening a library runs its initialisers. Whoever named the library vouches for it; nothing is
    // opened that was not named.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

#[cfg(not(unix))]
fn link(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: as above.
    unsafe { libloading::Library::new(path) }
}

/// Links the library and finds its header. A library once linked is never unloaded, refused or not: its
/// initialisers have run, and may have left pointers to it anywhere.
fn header_of(path: &Path) -> Result<&'static LibHeader, OpenError> {
    let library = std::mem::ManuallyDrop::new(link(path).map_err(OpenError::Link)?);
    // SAFETY: `AbiHeaderRef` is a transparent pointer to the header's first, never changing part, which is
    // checked by `upgrade` before the rest is read; the library stays loaded for good.
    let header = unsafe { library.get::<AbiHeaderRef>(HEADER_SYMBOL.as_bytes()) };
    let header = *header.map_err(|_| OpenError::NotAPlugin)?;
    header.upgrade().map_err(|_| OpenError::Foreign(maker_of(&header)))
}

/// What a header says it was made with.
fn maker_of(header: &AbiHeader) -> String {
    if header.magic_string != AbiHeader::VALUE.magic_string {
        return "something else than abi_stable".to_owned();
    }
    let version = |header: &AbiHeader| format!("{}.{}", header.abi_major, header.abi_minor);
    format!("abi_stable {}, and this host with {}", version(header), version(&AbiHeader::VALUE))
}

/// Checks the layout both ways: a newer host accepts the older plugin whose tables are a prefix of its own, and
/// an older host the newer plugin.
fn check_layout(header: &'static LibHeader) -> Result<(), OpenError> {
    let ours = <PluginRootRef as StableAbi>::LAYOUT;
    let theirs = header
        .layout()
        .ok_or_else(|| OpenError::Layout { first_difference: "it does not tell its layout".to_owned() })?;
    // Fresh globals each time: they remember the longest table seen, and would refuse the next shorter one.
    let check = |interface: &'static TypeLayout, implementation: &'static TypeLayout| {
        check_layout_compatibility_with_globals(interface, implementation, &CheckingGlobals::new())
    };
    match check(ours, theirs) {
        Ok(()) => Ok(()),
        Err(errors) => {
            check(theirs, ours).map_err(|_| OpenError::Layout { first_difference: first_difference(&errors) })
        }
    }
}

/// The first difference of a report that can run to a thousand lines: where it is, and what.
fn first_difference(report: &AbiInstabilityErrors) -> String {
    let found = report.errors.iter().find_map(|error| Some((error, error.errs.first()?)));
    let Some((error, what)) = found else { return "no difference was told".to_owned() };
    let name = |inside: &ExpectedFound<TLFieldOrFunction>| match inside.expected {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    };
    // A tuple's fields are numbers, which say nothing without its type.
    let is_word = |name: &&str| name.parse::<u8>().is_err();
    let place: Vec<&str> = error.stack_trace.iter().map(name).filter(is_word).collect();
    let place = if place.is_empty() { "the root module".to_owned() } else { place.join(".") };
    format!("in {place}, {}", difference(what))
}

/// What `what` says, short.
fn difference(what: &AbiInstability) -> String {
    let differ = |what: &str, here: &dyn Display, there: &dyn Display| {
        format!("{what} is {here} here and {there} there")
    };
    match what {
        AbiInstability::Name(it) => differ("the type", &it.expected, &it.found),
        AbiInstability::Package(it) => differ("the package", &it.expected, &it.found),
        AbiInstability::PackageVersion(it) => differ("the package's version", &it.expected, &it.found),
        AbiInstability::Size(it) => differ("the size", &it.expected, &it.found),
        AbiInstability::Alignment(it) => differ("the alignment", &it.expected, &it.found),
        AbiInstability::MismatchedPrefixSize(it) => {
            differ("the number of fields that are always there", &it.expected, &it.found)
        }
        AbiInstability::FieldCountMismatch(it) => differ("the number of fields", &it.expected, &it.found),
        AbiInstability::UnexpectedField(it) => {
            differ("the next field", &it.expected.name(), &it.found.name())
        }
        AbiInstability::UnexpectedVariant(it) => differ("the next variant", &it.expected, &it.found),
        _ => "the layout is another".to_owned(),
    }
}

/// The first line of `text` that says anything.
fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason was told").to_owned()
}
