//! [`FunctionOptions`]: the settings of a cached closure.

use std::fmt;

use super::cache_key::{CacheKey, KeyText};
use super::expiration::FunctionExpiration;
use super::function_call::{Argument, Function, FunctionCall};
use super::key_generator::{
    KeyGenerator, MultiKeyGenerator, default_key_generator, default_multi_key_generator,
};
use super::should_cache::{CacheAll, FilteredCall, ShouldCache, WithKey};
use crate::region::{CacheRegion, CallOptions};

/// Converts an argument to its text in a key.
type ToStr = Box<dyn Fn(&dyn CacheKey) -> String + Send + Sync>;

/// The settings of a cached closure.
///
/// [`CacheRegion::cache_on_arguments`] and [`CacheRegion::cache_multi_on_arguments`] create them.
#[must_use = "options have no effect until `wrap` is called"]
pub struct FunctionOptions<'r, G, P = CacheAll> {
    region: &'r CacheRegion,
    name: String,
    namespace: Option<String>,
    arguments: Vec<String>,
    expiration: Option<Box<dyn FunctionExpiration + Send + Sync>>,
    to_str: Option<ToStr>,
    generator: G,
    predicate: P,
}

impl CacheRegion {
    /// Returns the options of a cached closure whose keys begin with `name`, such as `module:function`.
    ///
    /// ```
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// let discount = 5;
    /// let price = region
    ///     .cache_on_arguments("shop:price")
    ///     .expiration_time(300_u64)
    ///     .wrap(|item: &str, year: u32| item.len() as u32 + year - discount);
    /// assert_eq!(price.call(("tea", 2026)), 2024);
    /// assert_eq!(price.key(&("tea", 2026)), "shop:price|tea 2026");
    /// assert_eq!(price.get(&("tea", 2026))?, Some(2024));
    /// price.invalidate(&("tea", 2026))?;
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    ///
    /// Give each closure a name or namespace of its own. The variables that a closure captures are not part of its
    /// keys.
    // Source: dogpile.cache `region.py`, `CacheRegion.cache_on_arguments`.
    pub fn cache_on_arguments(&self, name: impl Into<String>) -> FunctionOptions<'_, KeyGenerator> {
        FunctionOptions::new(self, name.into(), Box::new(default_key_generator))
    }

    /// Returns the options of a cached closure of many keys, which begin with `name`.
    ///
    /// The closure takes a slice of keys and returns [`ManyValues`](super::ManyValues). See
    /// [`cache_on_arguments`](Self::cache_on_arguments) for names.
    ///
    /// ```
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("users");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// let names = region
    ///     .cache_multi_on_arguments("users:names")
    ///     .wrap(|ids: &[u64]| ids.iter().map(|id| format!("user {id}")).collect::<Vec<_>>());
    /// names.set([(2, "Ada".to_owned())])?;
    /// assert_eq!(names.call(&[1, 2]), ["user 1", "Ada"]);
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    // Source: dogpile.cache `region.py`, `CacheRegion.cache_multi_on_arguments`.
    pub fn cache_multi_on_arguments(
        &self,
        name: impl Into<String>,
    ) -> FunctionOptions<'_, MultiKeyGenerator> {
        FunctionOptions::new(self, name.into(), Box::new(default_multi_key_generator))
    }
}

impl<'r, G> FunctionOptions<'r, G> {
    fn new(region: &'r CacheRegion, name: String, generator: G) -> Self {
        FunctionOptions {
            region,
            name,
            namespace: None,
            arguments: Vec::new(),
            expiration: None,
            to_str: None,
            generator,
            predicate: CacheAll,
        }
    }

    /// Sets a predicate: values for which it returns false are not stored. Default: all are stored.
    pub fn should_cache_fn<T, F: Fn(&T) -> bool>(self, predicate: F) -> FunctionOptions<'r, G, F> {
        self.with_predicate(predicate)
    }

    /// Sets a predicate of key and value. Values for which it returns false are not stored.
    ///
    /// The key is the one that the key generator made.
    pub fn should_cache_with_key<T, F: Fn(&str, &T) -> bool>(
        self,
        predicate: F,
    ) -> FunctionOptions<'r, G, WithKey<F>> {
        self.with_predicate(WithKey(predicate))
    }

    fn with_predicate<P>(self, predicate: P) -> FunctionOptions<'r, G, P> {
        let FunctionOptions { region, name, namespace, arguments, expiration, to_str, generator, .. } = self;
        FunctionOptions { region, name, namespace, arguments, expiration, to_str, generator, predicate }
    }
}

impl<G, P> FunctionOptions<'_, G, P> {
    /// Sets a namespace, which is between the name and the arguments in a key. Default: none.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the age past which a value is stale. Default: the region's expiration time.
    ///
    /// It is a number of seconds, a `Duration`, an [`Expiration`](crate::Expiration), or a function that returns one of
    /// these and is called for each call of the closure.
    pub fn expiration_time(mut self, expiration: impl FunctionExpiration + Send + Sync + 'static) -> Self {
        self.expiration = Some(Box::new(expiration));
        self
    }

    /// Sets the names of the arguments, for key generators that use them. Default: empty names.
    pub fn argument_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.arguments = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a function that converts each argument to its text in a key. Default: [`CacheKey::write`].
    pub fn to_str(mut self, to_str: impl Fn(&dyn CacheKey) -> String + Send + Sync + 'static) -> Self {
        self.to_str = Some(Box::new(to_str));
        self
    }

    pub(super) fn region(&self) -> &CacheRegion {
        self.region
    }

    pub(super) fn name_of(&self, argument: usize) -> &str {
        self.arguments.get(argument).map_or("", String::as_str)
    }

    /// Returns the options of a call of the region.
    pub(super) fn call(&self) -> CallOptions<'_> {
        let call = self.region.options();
        match &self.expiration {
            Some(expiration) => call.expiration_time(expiration.now()),
            None => call,
        }
    }

    /// Returns the options of a call that stores only what the predicate accepts.
    pub(super) fn filtered_call(&self) -> FilteredCall<'_, By<'_, P>> {
        FilteredCall { options: self.call(), predicate: By(&self.predicate) }
    }

    /// Returns the key that `generate` makes for a call with `arguments`.
    pub(super) fn keys<R>(
        &self,
        arguments: &[Argument<'_>],
        generate: impl FnOnce(&G, &FunctionCall<'_>) -> R,
    ) -> R {
        let function = Function::new(&self.name);
        let function =
            self.namespace.iter().fold(function, |function, namespace| function.in_namespace(namespace));
        let Some(to_str) = &self.to_str else {
            return generate(&self.generator, &FunctionCall::new(&function, arguments));
        };
        let texts: Vec<KeyText> =
            arguments.iter().map(|argument| KeyText::new(to_str(argument.value()))).collect();
        let texts = arguments.iter().zip(&texts).map(|(argument, text)| Argument::new(argument.name(), text));
        generate(&self.generator, &FunctionCall::new(&function, &texts.collect::<Vec<_>>()))
    }
}

impl<P> FunctionOptions<'_, KeyGenerator, P> {
    /// Sets the key generator. Default: [`default_key_generator`].
    pub fn function_key_generator(
        mut self,
        generator: impl Fn(&FunctionCall<'_>, &mut String) + Send + Sync + 'static,
    ) -> Self {
        self.generator = Box::new(generator);
        self
    }
}

impl<P> FunctionOptions<'_, MultiKeyGenerator, P> {
    /// Sets the key generator. Default: [`default_multi_key_generator`].
    pub fn function_multi_key_generator(
        mut self,
        generator: impl Fn(&FunctionCall<'_>) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.generator = Box::new(generator);
        self
    }
}

/// A borrowed predicate.
pub(super) struct By<'a, P>(&'a P);

impl<T, P: ShouldCache<T>> ShouldCache<T> for By<'_, P> {
    fn should_cache(&self, key: &str, value: &T) -> bool {
        self.0.should_cache(key, value)
    }
}

impl<G, P> fmt::Debug for FunctionOptions<'_, G, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionOptions")
            .field("region", &self.region.name())
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
