//! What a library provides to its host: its entry points and its log records.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use dogpile_abi::{AbiError, BackendObject, EntryInfo, EntryKind, HostRef, Plugin, record_panic_location};

use super::error::to_abi;
use super::exported::ExportedBackend;
use super::loaded::LoadedBackend;
use crate::arguments::Arguments;
use crate::backend::CacheBackend;
use crate::entry::{BackendEntry, ProxyEntry};
use crate::error::{BackendError, ErrorKind};

/// Exports the named crates as a plugin library. It needs the feature `plugins`.
///
/// Call it in a crate of type `cdylib` that does nothing else, so that two plugins can be linked into one binary. The
/// named crates are linked, so that the library has their entry points. A plugin that is never linked into an
/// application may register its entry points in the library's crate itself, and name no crate.
///
/// ```
/// # mod dogpile_sdk_docs { }
/// # #[cfg(any())]
/// dogpile_sdk::export_plugin!(acme_shelf);
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($($krate:ident),* $(,)?) => {
        $(use $krate as _;)*

        /// Marks this library as a dogpile plugin.
        #[unsafe(export_name = "dogpile_plugin_header")]
        pub static DOGPILE_PLUGIN_HEADER: $crate::__private::abi::PluginHeader = {
            struct Library;
            impl $crate::__private::ExportedPlugin for Library {
                const PACKAGE: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }
            $crate::__private::abi::plugin_header::<$crate::__private::Exported<Library>>()
        };
    };
}

/// A library that `export_plugin!` exports.
pub trait ExportedPlugin: 'static {
    /// The package of the library.
    const PACKAGE: &'static str;
    /// The version of that package.
    const VERSION: &'static str;
}

/// The [`Plugin`] of an [`ExportedPlugin`].
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: ExportedPlugin> Plugin for Exported<P> {
    const PACKAGE: &'static str = P::PACKAGE;
    const VERSION: &'static str = P::VERSION;
    const SDK_VERSION: &'static str = crate::SDK_VERSION;

    fn init(host: HostRef) -> Result<(), AbiError> {
        if HOST.set(host).is_ok() {
            forward_log_records();
            forward_panics(P::PACKAGE);
        }
        Ok(())
    }

    fn entries() -> Result<Vec<EntryInfo>, AbiError> {
        let info = |name: &str, kind, package: &str, version: &str| EntryInfo {
            name: name.into(),
            kind,
            package: package.into(),
            version: version.into(),
        };
        let backends = BackendEntry::linked().map(|e| info(e.name, EntryKind::Backend, e.package, e.version));
        let proxies = ProxyEntry::linked().map(|e| info(e.name, EntryKind::Proxy, e.package, e.version));
        Ok(backends.chain(proxies).collect())
    }

    fn build(name: &str, arguments: &str, proxied: Option<BackendObject>) -> Result<BackendObject, AbiError> {
        let built = build(name, arguments, proxied).map_err(|error| to_abi(&error))?;
        Ok(ExportedBackend::object(built))
    }
}

fn build(
    name: &str,
    arguments: &str,
    proxied: Option<BackendObject>,
) -> Result<Arc<dyn CacheBackend>, BackendError> {
    let arguments = Arguments::from_json(arguments)?;
    let missing = || {
        let message = format!("this library has no entry point {name:?} of that kind");
        BackendError::new(ErrorKind::Configuration, message)
    };
    match proxied {
        None => {
            let entry = BackendEntry::linked().find(|entry| entry.name == name).ok_or_else(missing)?;
            (entry.build)(arguments)
        }
        Some(proxied) => {
            let entry = ProxyEntry::linked().find(|entry| entry.name == name).ok_or_else(missing)?;
            (entry.build)(arguments, Arc::new(LoadedBackend::new(proxied, "the backend behind the proxy")))
        }
    }
}

static HOST: OnceLock<HostRef> = OnceLock::new();

/// Gives this library's copy of the `log` crate a logger that hands everything to the host.
fn forward_log_records() {
    if log::set_logger(&Forwarder).is_ok() {
        // Check with the host for each record, so that a change of its level takes effect at once.
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// Sends this library's panics to the host's log, and keeps their locations for the errors that they become.
///
/// The library has its own copy of the standard library, and so its own panic hook.
fn forward_panics(package: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(location) = panic.location() {
            record_panic_location(location);
        }
        log::error!(target: "dogpile_sdk::plugin", "plugin {package} panicked: {panic}");
    }));
}

struct Forwarder;

impl log::Log for Forwarder {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        HOST.get().is_some_and(|host| host.is_log_enabled(metadata.level() as u8, metadata.target()))
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(host) = HOST.get()
            && self.enabled(record.metadata())
        {
            host.write_log(record.level() as u8, record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
