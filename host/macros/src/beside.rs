//! Where the functions beside a cached one stand, and what they are called.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{FnArg, Signature};

use crate::function::Subject;

impl Subject {
    /// The name of the function beside it that does `what`.
    pub(crate) fn beside(&self, what: &str) -> Ident {
        let name = &self.item.sig.ident;
        if self.is_method {
            format_ident!("{}_{what}", name.unraw(), span = name.span())
        } else {
            Ident::new(what, name.span())
        }
    }

    /// A path to that function.
    pub(crate) fn path_to(&self, what: &str) -> TokenStream {
        let (name, beside, turbofish) = (&self.item.sig.ident, self.beside(what), self.turbofish());
        let owner = if self.is_method { quote!(Self) } else { name.to_token_stream() };
        quote!(#owner::#beside #turbofish)
    }

    /// A function beside it: its documentation, name, parameters, type of answer and body.
    pub(crate) fn function(
        &self,
        what: &str,
        docs: &str,
        parameters: &TokenStream,
        answer: &TokenStream,
        body: &TokenStream,
    ) -> TokenStream {
        let (attributes, vis, name) = (self.shared_attributes(), &self.item.vis, self.beside(what));
        let (generics, bounds) = (&self.item.sig.generics, &self.item.sig.generics.where_clause);
        let docs = docs.replace("{}", &self.item.sig.ident.unraw().to_string());
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(dead_code, unused_variables, clippy::all, clippy::pedantic)]
            #vis fn #name #generics (#parameters) -> #answer #bounds { #body }
        }
    }

    /// The function as it was written, under another name.
    pub(crate) fn original(&self) -> TokenStream {
        let (attributes, vis, block) = (self.shared_attributes(), &self.item.vis, &self.item.block);
        let signature = Signature { ident: self.beside("original"), ..self.item.sig.clone() };
        let docs = format!("`{}` as it was written: evaluated at each call.", self.item.sig.ident.unraw());
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(dead_code)]
            #vis #signature #block
        }
    }

    /// The function that callers call, with `body`.
    pub(crate) fn cached(&self, body: &TokenStream) -> TokenStream {
        let (attributes, vis) = (&self.item.attrs, &self.item.vis);
        let mut signature = self.item.sig.clone();
        let mut names = self.arguments.iter().map(|argument| &argument.name);
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(receiver) => receiver.mutability = None,
                FnArg::Typed(typed) => {
                    if let Some(name) = names.next() {
                        *typed.pat = syn::Pat::Verbatim(name.to_token_stream());
                    }
                }
            }
        }
        quote!(#(#attributes)* #vis #signature { #body })
    }

    /// All of it: the cached function, and those beside it.
    pub(crate) fn assembled(&self, cached: &TokenStream, beside: &[TokenStream]) -> TokenStream {
        if self.is_method {
            return quote!(#cached #(#beside)*);
        }
        let (attributes, vis, name) = (self.shared_attributes(), &self.item.vis, &self.item.sig.ident);
        let attributes: Vec<_> = attributes.collect();
        let docs = format!("What stands beside the cached function [`{0}`](fn@{0}).", name.unraw());
        // A type may have the name of a function, and shares its scope, which a module would not.
        quote! {
            #cached
            #(#attributes)*
            #[doc = #docs]
            #[allow(non_camel_case_types, dead_code)]
            #vis enum #name {}
            #(#attributes)*
            impl #name { #(#beside)* }
        }
    }
}

/// A name that no argument can have.
pub(crate) fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
