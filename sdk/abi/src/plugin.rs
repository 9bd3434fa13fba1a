//! A library's root module: its identity, its entry points, and how one is built.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RResult, RStr, RString, RVec};
use abi_stable::{StableAbi, staticref};

use crate::{backend::BackendObject, contain::contain, error::AbiError, host::HostRef};

/// The symbol under which a library exports its [`PluginHeader`]. `export_plugin!` repeats it, since an
/// attribute takes no constant.
pub const HEADER_SYMBOL: &str = "dogpile_plugin_header";

/// The header that a library exports: abi_stable's, with the layout of [`PluginRoot`] in it.
pub type PluginHeader = LibHeader;

/// Whether an entry point is a backend or a proxy.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, StableAbi)]
pub enum EntryKind {
    /// Stores values.
    Backend,
    /// Wraps a backend.
    Proxy,
}

/// One entry point of a library.
#[repr(C)]
#[derive(Clone, Debug, StableAbi)]
pub struct EntryInfo {
    /// Its name, such as `dogpile.cache.redis`.
    pub name: RString,
    /// What it is.
    pub kind: EntryKind,
    /// The crate that registered it.
    pub package: RString,
    /// The version of that crate.
    pub version: RString,
}

/// What a library implements to be loaded. `dogpile-sdk` does so for authors.
pub trait Plugin: 'static {
    /// The package that the library was built from.
    const PACKAGE: &'static str;
    /// The version of that package.
    const VERSION: &'static str;
    /// The version of the SDK that the library was built with.
    const SDK_VERSION: &'static str;

    /// Prepares the library. The host calls it once, before all other functions.
    ///
    /// # Errors
    /// If the library cannot work in this host.
    fn init(host: HostRef) -> Result<(), AbiError>;

    /// Returns the entry points that the library registered.
    ///
    /// # Errors
    /// If the library cannot list them.
    fn entries() -> Result<Vec<EntryInfo>, AbiError>;

    /// Builds the entry point `name` from `arguments`, a JSON object. A proxy is built around `proxied`.
    ///
    /// # Errors
    /// If there is no such entry point, or it rejects its arguments.
    fn build(name: &str, arguments: &str, proxied: Option<BackendObject>) -> Result<BackendObject, AbiError>;
}

/// The root module behind [`PluginRootRef`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootFields)))]
pub struct PluginRoot {
    pub(crate) package: RStr<'static>,
    pub(crate) version: RStr<'static>,
    pub(crate) sdk_version: RStr<'static>,
    pub(crate) abi_version: RStr<'static>,
    /// The compiler that built the library, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub(crate) compiler: RStr<'static>,
    /// Changes the layout, so that the tests see the library rejected.
    #[cfg(dogpile_abi_mismatched)]
    pub(crate) mismatch: u64,
    /// False for a library built with `panic = "abort"`, whose panics cannot be contained.
    pub(crate) unwinds: bool,
    pub(crate) init: extern "C" fn(HostRef) -> RResult<(), AbiError>,
    pub(crate) entries: extern "C" fn() -> RResult<RVec<EntryInfo>, AbiError>,
    #[sabi(last_prefix_field)]
    pub(crate) build:
        extern "C" fn(RStr<'_>, RStr<'_>, ROption<BackendObject>) -> RResult<BackendObject, AbiError>,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! {PluginRootRef}
    const BASE_NAME: &'static str = "dogpile_plugin";
    const NAME: &'static str = "dogpile_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

struct RootOf<P>(std::marker::PhantomData<P>);

impl<P: Plugin> RootOf<P> {
    staticref!(const ROOT: WithMetadata<PluginRoot> = WithMetadata::new(PluginRoot {
        package: RStr::from_str(P::PACKAGE),
        version: RStr::from_str(P::VERSION),
        sdk_version: RStr::from_str(P::SDK_VERSION),
        abi_version: RStr::from_str(crate::ABI_VERSION),
        compiler: RStr::from_str(crate::COMPILER),
        #[cfg(dogpile_abi_mismatched)]
        mismatch: 0,
        unwinds: cfg!(panic = "unwind"),
        init: init::<P>,
        entries: entries::<P>,
        build: build::<P>,
    }));
}

extern "C" fn init<P: Plugin>(host: HostRef) -> RResult<(), AbiError> {
    contain(|| P::init(host)).into()
}

extern "C" fn entries<P: Plugin>() -> RResult<RVec<EntryInfo>, AbiError> {
    contain(|| P::entries().map(RVec::from)).into()
}

extern "C" fn build<P: Plugin>(
    name: RStr<'_>,
    arguments: RStr<'_>,
    proxied: ROption<BackendObject>,
) -> RResult<BackendObject, AbiError> {
    contain(|| P::build(name.as_str(), arguments.as_str(), proxied.into_option())).into()
}

extern "C" fn root_module<P: Plugin>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(|| PluginRootRef(RootOf::<P>::ROOT.as_prefix()))
}

/// The header for the plugin `P`, which `export_plugin!` exports.
pub const fn plugin_header<P: Plugin>() -> PluginHeader {
    // SAFETY: `root_module` returns a `PluginRootRef`, the module that the header is made for.
    unsafe { LibHeader::from_constructor::<PluginRootRef>(root_module::<P>, CheckTypeLayout::Yes) }
}
