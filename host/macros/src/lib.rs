//! The attribute macros of dogpile, which cache functions. Use them through `dogpile`, which explains them.

#![forbid(unsafe_code)]

mod beside;
mod derive_key;
mod expiration;
mod function;
mod key;
mod multi;
mod receiver;
mod settings;
mod single;

use proc_macro::TokenStream;

/// Caches a function that answers one value. `dogpile::cache_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    answer(single::expand, settings, function)
}

/// Caches a function that answers many values. `dogpile::cache_multi_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_multi_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    answer(multi::expand, settings, function)
}

/// Implements `CacheKey` for a struct or an enum. `dogpile::CacheKey` has the documentation.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn derive_cache_key(input: TokenStream) -> TokenStream {
    derive_key::expand(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn answer(
    expand: fn(proc_macro2::TokenStream, proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream>,
    settings: TokenStream,
    function: TokenStream,
) -> TokenStream {
    let written = function.clone();
    match expand(settings.into(), function.into()) {
        Ok(expanded) => expanded.into(),
        // The function stays, so that its callers are not told that there is none.
        Err(error) => TokenStream::from_iter([error.to_compile_error().into(), written]),
    }
}
