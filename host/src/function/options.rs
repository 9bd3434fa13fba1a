//! [`FunctionOptions`]: how a closure is cached.

use std::fmt;

use super::argument::{KeyArgument, KeyText};
use super::call::{Argument, Function, FunctionCall};
use super::closure::{CachedFunction, CachedMultiFunction, Fallible, Sure};
use super::expiration::FunctionExpiration;
use super::generator::{default_key_generator, default_multi_key_generator};
use crate::region::{CacheAll, CacheRegion, CallOptions, ShouldCache};

/// Makes the key of a call.
pub type KeyGenerator = Box<dyn Fn(&FunctionCall<'_>, &mut String) + Send + Sync>;
/// Makes the keys of a call, one for each argument.
pub type MultiKeyGenerator = Box<dyn Fn(&FunctionCall<'_>) -> Vec<String> + Send + Sync>;

/// Makes the text of an argument.
type ToStr = Box<dyn Fn(&dyn KeyArgument) -> String + Send + Sync>;

/// How a closure is cached: made by [`CacheRegion::cache_on_arguments`] and
/// [`CacheRegion::cache_multi_on_arguments`].
#[must_use = "it does nothing until a closure is wrapped"]
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
    /// Says how a closure is to be cached whose keys begin with `name`, such as `module:function`.
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
    /// Two closures need two names, or namespaces. What a closure captures is no part of its keys.
    ///
    /// Source: dogpile.cache `region.py`, `CacheRegion.cache_on_arguments`.
    pub fn cache_on_arguments(&self, name: impl Into<String>) -> FunctionOptions<'_, KeyGenerator> {
        FunctionOptions::new(self, name.into(), Box::new(default_key_generator))
    }

    /// As [`cache_on_arguments`](Self::cache_on_arguments), for a closure that takes a slice of keys, and returns what
    /// [`ManyValues`](super::ManyValues) says.
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
    ///
    /// Source: dogpile.cache `region.py`, `CacheRegion.cache_multi_on_arguments`.
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

    /// Stores only values for which `predicate` answers true. dogpile's `should_cache_fn`.
    pub fn should_cache_fn<T, F: Fn(&T) -> bool>(self, predicate: F) -> FunctionOptions<'r, G, F> {
        let FunctionOptions { region, name, namespace, arguments, expiration, to_str, generator, .. } = self;
        FunctionOptions { region, name, namespace, arguments, expiration, to_str, generator, predicate }
    }
}

impl<G, P> FunctionOptions<'_, G, P> {
    /// Sets `namespace` between the function's name and its arguments.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The age past which a value is stale, in place of the region's: seconds, a `Duration`, an
    /// [`Expiration`](crate::Expiration), or a function of one of these that is asked at each call.
    pub fn expiration_time(mut self, expiration: impl FunctionExpiration + Send + Sync + 'static) -> Self {
        self.expiration = Some(Box::new(expiration));
        self
    }

    /// What the arguments are called, for key generators that go by names. Default: nothing.
    pub fn argument_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.arguments = names.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the text of each argument. Default: that of its [`KeyArgument`].
    pub fn to_str(mut self, to_str: impl Fn(&dyn KeyArgument) -> String + Send + Sync + 'static) -> Self {
        self.to_str = Some(Box::new(to_str));
        self
    }

    pub(super) fn region(&self) -> &CacheRegion {
        self.region
    }

    pub(super) fn name_of(&self, argument: usize) -> &str {
        self.arguments.get(argument).map_or("", String::as_str)
    }

    /// What a call goes by.
    pub(super) fn call(&self) -> CallOptions<'_> {
        let call = self.region.options();
        match &self.expiration {
            Some(expiration) => call.expiration_time(expiration.now()),
            None => call,
        }
    }

    /// The same, storing what the predicate wants.
    pub(super) fn call_wanting(&self) -> CallOptions<'_, By<'_, P>> {
        self.call().with_predicate(By(&self.predicate))
    }

    /// What `generate` makes of a call with `arguments`.
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

impl<'r, P> FunctionOptions<'r, KeyGenerator, P> {
    /// What makes the keys. Default: [`default_key_generator`].
    pub fn function_key_generator(
        mut self,
        generator: impl Fn(&FunctionCall<'_>, &mut String) + Send + Sync + 'static,
    ) -> Self {
        self.generator = Box::new(generator);
        self
    }

    /// Caches what `function` returns.
    pub fn wrap<F>(self, function: F) -> CachedFunction<'r, F, Sure, P> {
        CachedFunction::new(self, function)
    }

    /// Caches what is `Ok` of what `function` returns.
    pub fn wrap_fallible<F>(self, function: F) -> CachedFunction<'r, F, Fallible, P> {
        CachedFunction::new(self, function)
    }
}

impl<'r, P> FunctionOptions<'r, MultiKeyGenerator, P> {
    /// What makes the keys. Default: [`default_multi_key_generator`].
    pub fn function_multi_key_generator(
        mut self,
        generator: impl Fn(&FunctionCall<'_>) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.generator = Box::new(generator);
        self
    }

    /// Caches each of the values that `function` returns.
    pub fn wrap<F>(self, function: F) -> CachedMultiFunction<'r, F, Sure, P> {
        CachedMultiFunction::new(self, function)
    }

    /// Caches each of the values that are `Ok` of what `function` returns.
    pub fn wrap_fallible<F>(self, function: F) -> CachedMultiFunction<'r, F, Fallible, P> {
        CachedMultiFunction::new(self, function)
    }
}

/// A predicate that is asked where it lies.
pub(super) struct By<'a, P>(&'a P);

impl<T, P: ShouldCache<T>> ShouldCache<T> for By<'_, P> {
    fn should_cache(&self, value: &T) -> bool {
        self.0.should_cache(value)
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
