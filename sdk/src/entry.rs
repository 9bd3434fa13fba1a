//! Entry points: one line registers a backend or a proxy, linked or loaded.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::arguments::{Arguments, ForeignArguments};
use crate::backend::CacheBackend;
use crate::bytes::{BytesBackend, Enveloped};
use crate::error::{BackendError, ErrorKind};
use crate::ignoring::ignoring;
use crate::proxy::{ProxyBackend, proxy};
use crate::value_proxy::{ValueProxy, value_proxy};

/// Builds a backend of its arguments.
pub type BuildBackend = fn(Arguments) -> Result<Arc<dyn CacheBackend>, BackendError>;

/// A backend's entry point, as [`register_backend!`](crate::register_backend) submits it.
#[derive(Clone, Copy)]
pub struct BackendEntry {
    /// The name that configurations use, such as `dogpile.cache.redis`.
    pub name: &'static str,
    /// The crate that registered it.
    pub package: &'static str,
    /// That crate's version.
    pub version: &'static str,
    /// Builds the backend.
    pub build: BuildBackend,
    /// Returns the names of its own arguments.
    pub arguments: fn() -> &'static [&'static str],
    /// The arguments of other programs that it accepts.
    pub foreign: &'static ForeignArguments,
    /// Replaces the foreign names of arguments by its own.
    pub translate: TranslateArguments,
}

/// Replaces the foreign names of arguments by those of the entry point. Also returns the names without effect.
pub type TranslateArguments = fn(Arguments) -> Result<(Arguments, Vec<String>), BackendError>;

/// Builds a proxy around the backend that it wraps.
pub type BuildProxy = fn(Arguments, Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, BackendError>;

/// A proxy's entry point, as [`register_proxy!`](crate::register_proxy) submits it.
#[derive(Clone, Copy)]
pub struct ProxyEntry {
    /// The name that configurations use, such as `dogpile.proxy.logging`.
    pub name: &'static str,
    /// The crate that registered it.
    pub package: &'static str,
    /// That crate's version.
    pub version: &'static str,
    /// Builds the proxy around the backend that it wraps.
    pub build: BuildProxy,
}

inventory::collect!(BackendEntry);
inventory::collect!(ProxyEntry);

impl BackendEntry {
    /// The entry points of all crates linked into this binary.
    pub fn linked() -> impl Iterator<Item = &'static BackendEntry> {
        inventory::iter::<BackendEntry>.into_iter()
    }
}

impl ProxyEntry {
    /// The entry points of all crates linked into this binary.
    pub fn linked() -> impl Iterator<Item = &'static ProxyEntry> {
        inventory::iter::<ProxyEntry>.into_iter()
    }
}

impl fmt::Debug for BackendEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendEntry({} of {} {})", self.name, self.package, self.version)
    }
}

impl fmt::Debug for ProxyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyEntry({} of {} {})", self.name, self.package, self.version)
    }
}

/// Registers a backend under its entry-point name.
///
/// `build` takes the `config`, read from the region's `arguments` (see [`Arguments::parse`]), and returns a
/// `Result` of a [`CacheBackend`] or a [`BytesBackend`]; any error will do. See the crate's example. `foreign`, before
/// `build`, is optional: the [`ForeignArguments`] that the entry point accepts.
///
/// `build` runs each time a region is configured with the name, on the thread that configures it, perhaps several at a
/// time. It may block. Each region has a backend of its own. If `build` fails, the region is not configured, and its
/// application may try again or not start. Therefore check the arguments here, and connect to a server when the first
/// call needs it. An error that is not a [`BackendError`] gets the kind [`ErrorKind::Configuration`], with its text as
/// the message. A panic is an error of the kind [`ErrorKind::Panicked`].
///
/// A name that is registered twice is an error when it is used.
#[macro_export]
macro_rules! register_backend {
    (name: $name:expr, config: $config:ty, build: $build:expr $(,)?) => {
        $crate::register_backend! {
            name: $name,
            config: $config,
            foreign: $crate::ForeignArguments::NONE,
            build: $build,
        }
    };
    (name: $name:expr, config: $config:ty, foreign: $foreign:expr, build: $build:expr $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::BackendEntry {
                name: $name,
                package: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                build: |arguments| {
                    $crate::__private::build_backend::<$config, _, _, _>(arguments, &const { $foreign }, $build)
                },
                arguments: $crate::__private::argument_names::<$config>,
                foreign: &const { $foreign },
                translate: |arguments| $crate::__private::translate::<$config>(arguments, &const { $foreign }),
            }
        }
    };
}

/// Registers a proxy under its entry-point name.
///
/// `build` takes the `config` and the backend that the proxy wraps, an `Arc<dyn CacheBackend>`. It returns a `Result`
/// of a [`ProxyBackend`] or of a [`ValueProxy`], with any error. It is called as that of
/// [`register_backend!`](crate::register_backend), once for each region and each place in its `wrap`.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile_sdk::{BackendError, CacheBackend, NoArguments, ProxyBackend, register_proxy};
///
/// #[derive(Debug)]
/// struct PassThrough(Arc<dyn CacheBackend>);
///
/// impl ProxyBackend for PassThrough {
///     fn proxied(&self) -> &dyn CacheBackend { &*self.0 }
/// }
///
/// register_proxy! {
///     name: "acme.pass_through",
///     config: NoArguments,
///     build: |_, proxied| Ok::<_, BackendError>(PassThrough(proxied)),
/// }
/// ```
#[macro_export]
macro_rules! register_proxy {
    (name: $name:expr, config: $config:ty, build: $build:expr $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::ProxyEntry {
                name: $name,
                package: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                build: |arguments, proxied| {
                    $crate::__private::build_proxy::<$config, _, _, _>(arguments, proxied, $build)
                },
            }
        }
    };
}

/// Exports the named crates as a plugin library. It needs the feature `plugins`.
#[cfg(not(feature = "plugins"))]
#[macro_export]
macro_rules! export_plugin {
    ($($krate:ident),* $(,)?) => {
        compile_error!(
            "cannot export a plugin library: dogpile-sdk lacks its feature \"plugins\"; turn it on"
        );
    };
}

/// A type that `build` of a backend may return. `Form` distinguishes the two for the compiler.
pub trait IntoBackend<Form> {
    /// The backend behind one interface.
    fn into_backend(self) -> Arc<dyn CacheBackend>;
}

/// Stands for [`CacheBackend`].
#[derive(Debug)]
pub struct ValueForm;

/// Stands for [`BytesBackend`].
#[derive(Debug)]
pub struct BytesForm;

/// Stands for [`ValueProxy`].
#[derive(Debug)]
pub struct TransformingForm;

impl<B: CacheBackend> IntoBackend<ValueForm> for B {
    fn into_backend(self) -> Arc<dyn CacheBackend> {
        Arc::new(self)
    }
}

impl<B: BytesBackend> IntoBackend<BytesForm> for B {
    fn into_backend(self) -> Arc<dyn CacheBackend> {
        Arc::new(Enveloped::new(self))
    }
}

/// A [`ProxyBackend`] or a [`ValueProxy`], wherever a proxy is expected.
///
/// No other type implements it. `Form` distinguishes the two for the compiler, which finds it by itself.
pub trait IntoProxy<Form> {
    /// Converts the proxy into a backend.
    fn into_backend(self) -> Arc<dyn CacheBackend>;
}

impl<P: ProxyBackend> IntoProxy<ValueForm> for P {
    fn into_backend(self) -> Arc<dyn CacheBackend> {
        proxy(self)
    }
}

impl<P: ValueProxy> IntoProxy<TransformingForm> for P {
    fn into_backend(self) -> Arc<dyn CacheBackend> {
        value_proxy(self)
    }
}

/// What `register_backend!` calls.
#[doc(hidden)]
pub fn build_backend<C, B, E, Form>(
    arguments: Arguments,
    foreign: &ForeignArguments,
    build: impl FnOnce(C) -> Result<B, E>,
) -> Result<Arc<dyn CacheBackend>, BackendError>
where
    C: DeserializeOwned,
    B: IntoBackend<Form>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (config, ignored, renamed) = arguments.parse_foreign(foreign)?;
    match build(config) {
        Ok(backend) => Ok(ignoring(ignored, backend.into_backend())),
        Err(error) => Err(renamed.explain(build_error(error.into()))),
    }
}

/// What `register_backend!` calls for the names of the arguments.
#[doc(hidden)]
pub fn argument_names<C: DeserializeOwned>() -> &'static [&'static str] {
    Arguments::names_of::<C>()
}

/// What `register_backend!` calls to replace foreign names.
#[doc(hidden)]
pub fn translate<C: DeserializeOwned>(
    arguments: Arguments,
    foreign: &ForeignArguments,
) -> Result<(Arguments, Vec<String>), BackendError> {
    arguments.translated::<C>(foreign)
}

/// What `register_proxy!` calls.
#[doc(hidden)]
pub fn build_proxy<C, P, E, Form>(
    arguments: Arguments,
    proxied: Arc<dyn CacheBackend>,
    build: impl FnOnce(C, Arc<dyn CacheBackend>) -> Result<P, E>,
) -> Result<Arc<dyn CacheBackend>, BackendError>
where
    C: DeserializeOwned,
    P: IntoProxy<Form>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    build(arguments.parse()?, proxied).map(IntoProxy::into_backend).map_err(|error| build_error(error.into()))
}

fn build_error(error: Box<dyn Error + Send + Sync>) -> BackendError {
    match error.downcast::<BackendError>() {
        Ok(error) => *error,
        Err(error) => BackendError::new(ErrorKind::Configuration, error.to_string()),
    }
}
