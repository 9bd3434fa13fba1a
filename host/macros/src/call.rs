//! The calls of a region that a cached function and its companions make.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ReceiverKind, Result, Type};

use crate::arguments::Argument;
use crate::cached_fn::CachedFn;
use crate::companions::own;
use crate::expiration;
use crate::self_in_key::mentions;
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
    /// For an asynchronous function of many keys: the arguments that are not keys, and the pattern that they match.
    pub(crate) others: Option<(TokenStream, TokenStream)>,
    /// A call of the original with what was `taken`.
    pub(crate) original: TokenStream,
}

impl Evaluation<'_> {
    /// Returns the last expression of the cached function: the value of the region, or of the original.
    pub(crate) fn evaluate(&self) -> Result<TokenStream> {
        let Evaluation { function, settings, key, given, taken, original, .. } = self;
        if function.asyncness().is_some() {
            return self.evaluate_async();
        }
        let name = match (settings.is_multi, settings.background.is_some()) {
            (false, false) => "evaluate_as",
            (false, true) => "evaluate_in_background_as",
            (true, false) => "evaluate_many_as",
            (true, true) => "evaluate_many_in_background_as",
        };
        let (call, span) = (self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        let (name, moves) = (Ident::new(name, span), settings.background.map(|_| quote!(move)));
        Ok(quote_spanned! {span=>
            ::dogpile::function::expansion::#name::<#outcome, #returned, _, _>(
                #call, &#key, #given, #moves |#taken| #original
            )
        })
    }

    /// Returns what an asynchronous function evaluates last. Nothing but its arguments lives as long as it waits.
    fn evaluate_async(&self) -> Result<TokenStream> {
        let Evaluation { function, settings, key, given, taken, others, original, .. } = self;
        let name = match (settings.is_multi, settings.detach.is_some()) {
            (false, false) => "evaluate_async_as",
            (false, true) => "evaluate_detached_as",
            (true, false) => "evaluate_many_async_as",
            (true, true) => "evaluate_many_detached_as",
        };
        let (call, made, options, span) =
            (own("call"), own("made"), self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        let name = Ident::new(name, span);
        Ok(match others {
            None => quote_spanned! {span=>
                let #call = #options;
                ::dogpile::function::expansion::#name::<#outcome, #returned, _, _, _>(
                    #call, &#key, #given, |#taken| #original
                ).await
            },
            // The future owns the keys that it borrows, and returns them for the keys of the values.
            Some((others, pattern)) => quote_spanned! {span=>
                let #call = #options;
                ::dogpile::function::expansion::#name::<#outcome, #returned, _, _, _, _, _>(
                    #call, &#key, #given, #others, |#pattern, #taken| async move {
                        let #made = #original.await;
                        (#made, #taken)
                    }
                ).await
            },
        })
    }

    /// Returns the last expression of `refresh`, which calls the original in any case.
    pub(crate) fn refresh(&self) -> Result<TokenStream> {
        let Evaluation { function, settings, key, given, taken, original, .. } = self;
        let (call, span) = (self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        if function.asyncness().is_some() {
            return self.refresh_async();
        }
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

    fn refresh_async(&self) -> Result<TokenStream> {
        let Evaluation { function, key, given, taken, others, original, .. } = self;
        let (call, options, span) = (own("call"), self.filtered_call()?, function.returns.span());
        let (outcome, returned) = (function.returns.outcome(), function.returns.written());
        Ok(match others {
            None => quote_spanned! {span=>
                let #call = #options;
                let #taken = #given;
                ::dogpile::function::expansion::refresh_async_as::<#outcome, #returned, _>(
                    #call, &#key, #original
                ).await
            },
            Some((others, pattern)) => quote_spanned! {span=>
                let #call = #options;
                let (#taken, #pattern) = (#given, #others);
                ::dogpile::function::expansion::refresh_many_async_as::<#outcome, #returned, _, _, _>(
                    #call, #key, #taken, #original
                ).await
            },
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

/// Returns a call that a companion makes: of `method`, or of its asynchronous form.
pub(crate) fn method(
    function: &CachedFn,
    callee: &TokenStream,
    method: &str,
    arguments: &TokenStream,
) -> TokenStream {
    let span = function.returns.span();
    if function.asyncness().is_none() {
        let method = Ident::new(method, span);
        return quote_spanned!(span=> #callee.#method #arguments);
    }
    // What makes the callee ends before the companion waits. All tokens are at one place, as in `after_key`.
    let (variable, method) = (Ident::new("callee", span), Ident::new(&format!("{method}_async"), span));
    let arguments = function.returns.located(arguments.clone());
    quote_spanned!(span=> let #variable = #callee; #variable.#method #arguments.await)
}

/// Returns an expression for `self`, if there is one, that gives it to the original.
pub(crate) fn given_receiver(function: &CachedFn, settings: &Settings) -> Option<TokenStream> {
    let receiver = function.receiver.as_ref()?;
    let is_borrowed = matches!(receiver.kind, ReceiverKind::Reference(..));
    Some(given(&receiver.self_token.to_token_stream(), "self", is_borrowed, settings))
}

/// Returns an expression that gives `argument` to the original.
pub(crate) fn given_argument(argument: &Argument, settings: &Settings) -> TokenStream {
    let (name, is_borrowed) = (&argument.name, matches!(argument.ty, Type::Reference(_)));
    given(&name.to_token_stream(), &name.to_string(), is_borrowed, settings)
}

/// Returns `variable`, or a clone of it if the call borrows what it owns, such as the region of an `Arc<Self>`.
fn given(variable: &TokenStream, name: &str, is_borrowed: bool, settings: &Settings) -> TokenStream {
    let borrowing = settings.region.iter().chain(&settings.should_cache_fn);
    let is_used = borrowing.map(ToTokens::to_token_stream).any(|tokens| mentions(tokens, name));
    if is_used && !is_borrowed { quote!(::core::clone::Clone::clone(&#variable)) } else { variable.clone() }
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
        ::dogpile::function::expansion::has_fallibility::<#outcome, #returned>();
        ::dogpile::function::expansion::is_cacheable::<#value>();
    };
    quote!(#checks let #key = #made; #last)
}

/// Returns the variable of the key or the keys.
pub(crate) fn key_variable() -> Ident {
    own("key")
}
