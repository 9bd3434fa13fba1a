//! The attribute macros of dogpile, which cache functions. Use them through `dogpile`, which explains them.

#![forbid(unsafe_code)]

mod beside;
mod expiration;
mod function;
mod key;
mod multi;
mod settings;
mod single;

use proc_macro::TokenStream;

/// Caches a function that answers one value. `dogpile::cache_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    answer(single::expand(settings.into(), function.into()))
}

/// Caches a function that answers many values. `dogpile::cache_multi_on_arguments` has the documentation.
#[proc_macro_attribute]
pub fn cache_multi_on_arguments(settings: TokenStream, function: TokenStream) -> TokenStream {
    answer(multi::expand(settings.into(), function.into()))
}

fn answer(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}
