//! The companions of a cached function, such as `get` and `invalidate`, and their places.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Block, FnArg, GenericParam, Lifetime, LifetimeParam, Pat, Signature, Stmt, parse_quote};

use crate::cached_fn::CachedFn;

/// A function beside a cached one.
pub(crate) struct Companion {
    pub(crate) name: &'static str,
    /// `{}` is the name of the cached function.
    pub(crate) docs: &'static str,
    pub(crate) parameters: TokenStream,
    pub(crate) returns: TokenStream,
    pub(crate) body: TokenStream,
    /// Whether the companion of an asynchronous function is asynchronous too.
    pub(crate) calls_region: bool,
    /// A lifetime that the cached function does not have.
    pub(crate) lifetime: Option<Lifetime>,
}

impl CachedFn {
    /// Returns the text of a companion.
    pub(crate) fn companion_fn(&self, companion: &Companion) -> TokenStream {
        let Companion { name, docs, parameters, returns, body, calls_region, lifetime } = companion;
        let (attributes, vis, name) = (self.companion_attributes(), &self.item.vis, self.companion(name));
        let asyncness = self.asyncness().filter(|_| *calls_region);
        let mut generics = self.item.sig.generics.clone();
        if let Some(lifetime) = lifetime {
            generics.params.insert(0, GenericParam::Lifetime(LifetimeParam::new(lifetime.clone())));
        }
        let (bounds, docs) = (&generics.where_clause, docs.replace("{}", &self.bare_name()));
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(
                dead_code,
                unreachable_pub,
                unused_variables,
                single_use_lifetimes,
                clippy::all,
                clippy::nursery,
                clippy::pedantic
            )]
            #vis #asyncness fn #name #generics (#parameters) -> #returns #bounds { #body }
        }
    }

    /// Returns the function as it was written, under another name.
    pub(crate) fn original(&self) -> TokenStream {
        let (attributes, vis, block) = (self.original_attributes(), &self.item.vis, self.original_block());
        let signature = Signature { ident: self.companion("original"), ..self.item.sig.clone() };
        let docs = format!("Calls `{}` without the cache.", self.bare_name());
        quote! {
            #[allow(
                dead_code,
                unreachable_pub,
                clippy::missing_errors_doc,
                clippy::missing_panics_doc,
                clippy::must_use_candidate,
                clippy::return_self_not_must_use
            )]
            #(#attributes)*
            #[doc = #docs]
            #vis #signature #block
        }
    }

    /// Returns the body. Arguments that the key ignores may serve the region alone, and therefore count as used.
    fn original_block(&self) -> Block {
        let ignored = self.arguments.iter().filter(|argument| argument.is_ignored);
        let uses = ignored.map(|argument| -> Stmt {
            let name = &argument.name;
            parse_quote!(let _ = &#name;)
        });
        // Not a block within a block, which the lint `unused_braces` would report.
        let mut block = (*self.item.block).clone();
        block.stmts.splice(0..0, uses);
        block
    }

    /// Returns the cached function, with `body`.
    fn cached(&self, body: &TokenStream) -> TokenStream {
        let (attributes, vis, check) = (self.all_attributes(), &self.item.vis, self.returns.check());
        let mut signature = self.item.sig.clone();
        let mut names = self.arguments.iter().map(|argument| &argument.name);
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(receiver) => receiver.mutability = None,
                FnArg::Typed(typed) => {
                    if let Some(name) = names.next() {
                        *typed.pat = Pat::Verbatim(name.to_token_stream());
                    }
                }
            }
        }
        // The key reads arguments that the function itself ignores.
        quote! {
            #(#attributes)*
            #[allow(clippy::used_underscore_binding)]
            #vis #signature { #check #body }
        }
    }

    /// Returns the cached function, with `body`, and its companions.
    pub(crate) fn assembled(&self, body: &TokenStream, companions: &[Companion]) -> TokenStream {
        let (cached, original) = (self.cached(body), self.original());
        let companions = companions.iter().map(|companion| self.companion_fn(companion));
        if self.is_method {
            return quote!(#cached #original #(#companions)*);
        }
        let attributes: Vec<_> = self.companion_attributes().collect();
        let (vis, name) = (&self.item.vis, &self.item.sig.ident);
        let docs = format!("The companions of the cached function [`{0}`](fn@{0}).", self.bare_name());
        // A type may have the name of a function. Unlike a module, it sees the types of a function's body.
        quote! {
            #cached
            #(#attributes)*
            #[doc = #docs]
            #[allow(non_camel_case_types, dead_code, unreachable_pub, clippy::all, clippy::nursery, clippy::pedantic)]
            #vis enum #name {}
            #(#attributes)*
            impl #name { #original #(#companions)* }
        }
    }
}

/// Returns a name that no argument can have.
pub(crate) fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
