//! The attribute macros of dogpile. Use and documentation are in the crate `dogpile`, which re-exports them.

#![forbid(unsafe_code)]

mod arguments;
mod cached_fn;
mod call;
mod companions;
mod derive_key;
mod duration;
mod expiration;
mod key;
mod multi;
mod occurrence;
mod returns;
mod self_in_key;
mod settings;
mod single;
mod surroundings;

use proc_macro::TokenStream;

/// Caches a function that returns one value. `dogpile::cache_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    expand_or_report(single::expand, settings, function)
}

/// Caches a function that returns many values. `dogpile::cache_multi_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_multi_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    expand_or_report(multi::expand, settings, function)
}

/// Implements `CacheKey` for a struct or an enum. `dogpile::CacheKey` has the documentation.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn derive_cache_key(input: TokenStream) -> TokenStream {
    derive_key::expand(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand_or_report(
    expand: fn(proc_macro2::TokenStream, proc_macro2::TokenStream) -> syn::Result<proc_macro2::TokenStream>,
    settings: TokenStream,
    function: TokenStream,
) -> TokenStream {
    let written = function.clone();
    match expand(settings.into(), function.into()) {
        Ok(expanded) => expanded.into(),
        // Keep the function, so that its callers do not fail to compile as well.
        Err(error) => TokenStream::from_iter([error.to_compile_error().into(), written]),
    }
}
