//! The calls of a region that a cached function and its companions make.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Result};

use crate::cached_fn::CachedFn;
use crate::companions::own;
use crate::expiration;
use crate::settings::Settings;

/// What the cached function and `refresh` pass to the region.
pub(crate) struct Evaluation<'a> {
    pub(crate) function: &'a CachedFn,
    pub(crate) settings: &'a Settings,
    /// The type of one value.
    pub(crate) value: &'a TokenStream,
    /// The variable that has the key or the keys.
    pub(crate) key: Ident,
    /// The arguments, and the pattern that they match when the original is called.
    pub(crate) given: TokenStream,
    pub(crate) taken: TokenStream,
    /// A call of the original with what was `taken`.
    pub(crate) original: TokenStream,
}

impl Evaluation<'_> {
    /// Returns the last expression of the cached function: the value of the region, or of the original.
    ///
    /// This and [`refresh`](Self::refresh) are what an asynchronous function does differently.
    pub(crate) fn evaluate(&self) -> Result<TokenStream> {
        let Evaluation { function, settings, key, given, taken, original, .. } = self;
        let name = match (settings.is_multi, settings.is_in_background) {
            (false, false) => "evaluate_as",
            (false, true) => "evaluate_in_background_as",
            (true, false) => "evaluate_many_as",
            (true, true) => "evaluate_many_in_background_as",
        };
        let (call, span) = (self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        let (name, moves) = (Ident::new(name, span), settings.is_in_background.then(|| quote!(move)));
        Ok(quote_spanned! {span=>
            ::dogpile::function::expansion::#name::<#outcome, #returned, _, _>(
                #call, &#key, #given, #moves |#taken| #original
            )
        })
    }

    /// Returns the last expression of `refresh`, which calls the original in any case.
    pub(crate) fn refresh(&self) -> Result<TokenStream> {
        let Evaluation { function, settings, key, given, taken, original, .. } = self;
        let (call, span) = (self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        Ok(if settings.is_multi {
            quote_spanned! {span=>
                ::dogpile::function::expansion::refresh_many_as::<#outcome, #returned, _, _>(
                    #call, #key, #given, || { let #taken = #given; #original }
                )
            }
        } else {
            quote_spanned! {span=>
                ::dogpile::function::expansion::refresh_as::<#outcome, #returned, _>(
                    #call, &#key, || { let #taken = #given; #original }
                )
            }
        })
    }

    /// Returns an expression of the `FilteredCall`, which stores the values that `should_cache_fn` accepts.
    fn filtered_call(&self) -> Result<TokenStream> {
        let options = options(self.settings)?;
        let value = self.function.returns.located(self.value.clone());
        let Some(predicate) = &self.settings.should_cache_fn else {
            return Ok(quote!(::dogpile::function::expansion::FilteredCall::all(#options)));
        };
        // The types of a closure's parameters are inferred only if a signature names them.
        let (constructor, kind) = match predicate {
            Expr::Closure(closure) if closure.inputs.len() == 2 => ("by_key_and_value", None),
            Expr::Closure(_) => ("by_value", None),
            _ => ("by", Some(quote!(, _))),
        };
        let span = Span::mixed_site().located_at(predicate.span());
        let constructor = Ident::new(constructor, span);
        Ok(quote_spanned! {span=>
            ::dogpile::function::expansion::FilteredCall::#constructor::<#value #kind>(#options, #predicate)
        })
    }
}

/// Returns an expression of the `&CacheRegion`.
pub(crate) fn region(settings: &Settings) -> TokenStream {
    let region = &settings.region;
    let span = Span::mixed_site().located_at(region.span());
    // The type makes a reference of every pointer to a region.
    quote_spanned!(span=> { let region: &::dogpile::CacheRegion = &#region; region })
}

/// Returns an expression of the `CallOptions`.
pub(crate) fn options(settings: &Settings) -> Result<TokenStream> {
    let region = region(settings);
    let expiration = settings.expiration_time.as_ref().map(expiration::expand).transpose()?;
    let expiration = expiration.iter();
    Ok(quote!(#region.options()#(.expiration_time(#expiration))*))
}

/// Returns `last`, after statements that check the type of a value, and that make the key or the keys.
pub(crate) fn after_key(
    function: &CachedFn,
    value: &TokenStream,
    made: &TokenStream,
    last: &TokenStream,
) -> TokenStream {
    let (key, span) = (key_variable(), function.returns.span());
    // Each companion has the same checks at the same place, whose errors the compiler reports once.
    let (value, outcome) = (function.returns.located(value.clone()), function.returns.outcome());
    let returned = function.returns.written();
    let checks = quote_spanned! {span=>
        ::dogpile::function::expansion::has_outcome::<#outcome, #returned>();
        ::dogpile::function::expansion::is_cacheable::<#value>();
    };
    quote!(#checks let #key = #made; #last)
}

/// Returns the variable of the key or the keys.
pub(crate) fn key_variable() -> Ident {
    own("key")
}
