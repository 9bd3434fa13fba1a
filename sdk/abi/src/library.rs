//! [`OpenLibrary`]: a library that was opened and is a plugin that this host can use.

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
    /// The dynamic linker rejected it.
    #[error("the dynamic linker rejected the library")]
    Link(#[source] libloading::Error),
    /// It exports no plugin header.
    #[error(
        "not a dogpile plugin: the library does not export `{HEADER_SYMBOL}`; call `export_plugin!` in its crate"
    )]
    NotAPlugin,
    /// It was built with another version of abi_stable.
    #[error("the library was built with {0}; rebuild it with the dogpile-sdk of this host")]
    Foreign(String),
    /// Its tables have another layout.
    #[error(
        "the library's binary interface differs from this host's {host}: {first_difference}; rebuild it with the \
         dogpile-sdk of this host",
        host = crate::ABI_VERSION
    )]
    Layout {
        /// The first difference.
        first_difference: String,
    },
    /// Its root module cannot be created.
    #[error("cannot create the library's root module: {0}")]
    Root(String),
    /// It was built with `panic = "abort"`.
    #[error(
        "the library was built with panic = \"abort\", so a panic in it would end this process; rebuild it with \
         panic = \"unwind\""
    )]
    Aborts,
    /// It failed to start, or panicked.
    #[error("the library cannot start: {}", .0.parts().message)]
    Init(AbiError),
}

/// A plugin library that was opened. It stays loaded until the process ends.
#[derive(Clone, Copy)]
pub struct OpenLibrary {
    root: PluginRootRef,
}

impl OpenLibrary {
    /// Opens the library at `path`, runs its initializers, checks its layout, and lends it `host`.
    ///
    /// `path` is the canonical path of a file that was checked to be complete, because the dynamic linker raises SIGBUS
    /// on a truncated one. All symbols are bound now, and none of them is visible to other libraries.
    ///
    /// # Errors
    /// [`OpenError`] states why the library was rejected.
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

    /// Returns the package that the library was built from.
    pub fn package(&self) -> &'static str {
        self.root.package().as_str()
    }

    /// Returns the version of that package.
    pub fn version(&self) -> &'static str {
        self.root.version().as_str()
    }

    /// Returns the version of dogpile-sdk that the library was built with.
    pub fn sdk_version(&self) -> &'static str {
        self.root.sdk_version().as_str()
    }

    /// Returns the version of dogpile-abi that the library was built with.
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

    /// Builds the entry point `name` from `arguments`, a JSON object. A proxy is built around `proxied`.
    ///
    /// # Errors
    /// The error that the library returned, or its panic.
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
    // SAFETY: opening a library runs its initializers. The user who named the library vouches for it, and only named
    // libraries are opened.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

#[cfg(not(unix))]
fn link(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: as above.
    unsafe { libloading::Library::new(path) }
}

/// Links the library and returns its header.
///
/// A linked library is never unloaded, even if it is rejected. Its initializers have run and may have left pointers to
/// it anywhere.
fn header_of(path: &Path) -> Result<&'static LibHeader, OpenError> {
    let library = std::mem::ManuallyDrop::new(link(path).map_err(OpenError::Link)?);
    // SAFETY: `AbiHeaderRef` is a transparent pointer to the first part of the header, which never changes. `upgrade`
    // checks this part before the rest is read. The library stays loaded.
    let header = unsafe { library.get::<AbiHeaderRef>(HEADER_SYMBOL.as_bytes()) };
    let header = *header.map_err(|_| OpenError::NotAPlugin)?;
    header.upgrade().map_err(|_| OpenError::Foreign(maker_of(&header)))
}

/// Returns what a header was made with.
fn maker_of(header: &AbiHeader) -> String {
    if header.magic_string != AbiHeader::VALUE.magic_string {
        return "something other than abi_stable".to_owned();
    }
    let version = |header: &AbiHeader| format!("{}.{}", header.abi_major, header.abi_minor);
    format!("abi_stable {}, and this host with {}", version(header), version(&AbiHeader::VALUE))
}

/// Checks the layout both ways.
///
/// A newer host accepts an older plugin, whose tables are a prefix of its own. An older host accepts a newer plugin.
fn check_layout(header: &'static LibHeader) -> Result<(), OpenError> {
    let ours = <PluginRootRef as StableAbi>::LAYOUT;
    let theirs = header
        .layout()
        .ok_or_else(|| OpenError::Layout { first_difference: "its layout is missing".to_owned() })?;
    // Use fresh globals each time. They remember the longest table that they have seen, and reject a shorter one.
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

/// Returns the place and the kind of the first difference. A whole report can have a thousand lines.
fn first_difference(report: &AbiInstabilityErrors) -> String {
    let found = report.errors.iter().find_map(|error| Some((error, error.errs.first()?)));
    let Some((error, what)) = found else { return "an unknown difference".to_owned() };
    let name = |inside: &ExpectedFound<TLFieldOrFunction>| match inside.expected {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    };
    // The fields of a tuple are numbers, which mean nothing without its type.
    let is_word = |name: &&str| name.parse::<u8>().is_err();
    let place: Vec<&str> = error.stack_trace.iter().map(name).filter(is_word).collect();
    let place = if place.is_empty() { "the root module".to_owned() } else { place.join(".") };
    format!("in {place}, {}", difference(what))
}

/// Returns a short description of `what`.
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
        _ => "the layout is different".to_owned(),
    }
}

/// Returns the first line of `text` that contains more than whitespace.
fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("an unknown reason").to_owned()
}
