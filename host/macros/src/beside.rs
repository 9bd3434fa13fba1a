//! Where the functions beside a cached one stand, and what they are called.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{FnArg, GenericParam, Lifetime, LifetimeParam, Pat, Signature};

use crate::function::Subject;

/// A function beside a cached one.
pub(crate) struct Function {
    what: &'static str,
    docs: &'static str,
    parameters: TokenStream,
    answer: TokenStream,
    body: TokenStream,
    /// One that it has besides those of the cached function.
    pub(crate) lifetime: Option<Lifetime>,
}

impl Function {
    /// The function that does `what`; `{}` in its documentation is the cached function's name.
    pub(crate) fn new(
        what: &'static str,
        docs: &'static str,
        parameters: TokenStream,
        answer: TokenStream,
        body: TokenStream,
    ) -> Self {
        Function { what, docs, parameters, answer, body, lifetime: None }
    }
}

impl Subject {
    /// Its name without `r#`.
    fn bare_name(&self) -> String {
        self.item.sig.ident.unraw().to_string()
    }

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

    /// The text of a function beside it.
    pub(crate) fn function(&self, function: &Function) -> TokenStream {
        let Function { what, docs, parameters, answer, body, lifetime } = function;
        let (attributes, vis, name) = (self.shared_attributes(), &self.item.vis, self.beside(what));
        let mut generics = self.item.sig.generics.clone();
        if let Some(lifetime) = lifetime {
            generics.params.insert(0, GenericParam::Lifetime(LifetimeParam::new(lifetime.clone())));
        }
        let (bounds, docs) = (&generics.where_clause, docs.replace("{}", &self.bare_name()));
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(dead_code, unused_variables, single_use_lifetimes, clippy::all, clippy::pedantic)]
            #vis fn #name #generics (#parameters) -> #answer #bounds { #body }
        }
    }

    /// The function as it was written, under another name.
    pub(crate) fn original(&self) -> TokenStream {
        let (attributes, vis, block) = (self.original_attributes(), &self.item.vis, &self.item.block);
        let signature = Signature { ident: self.beside("original"), ..self.item.sig.clone() };
        let docs = format!("`{}` as it was written: evaluated at each call.", self.bare_name());
        // What the key does not depend on may be there for the region alone.
        let ignored =
            self.arguments.iter().filter(|argument| argument.is_ignored).map(|argument| &argument.name);
        quote! {
            #(#attributes)*
            #[doc = #docs]
            #[allow(dead_code)]
            #vis #signature { #(let _ = &#ignored;)* #block }
        }
    }

    /// The function that callers call, with `body`.
    pub(crate) fn cached(&self, body: &TokenStream) -> TokenStream {
        let (attributes, vis) = (self.all_attributes(), &self.item.vis);
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
        quote!(#(#attributes)* #vis #signature { #body })
    }

    /// All of it: the cached function, and those beside it.
    pub(crate) fn assembled(&self, cached: &TokenStream, beside: &[TokenStream]) -> TokenStream {
        if self.is_method {
            return quote!(#cached #(#beside)*);
        }
        let (attributes, vis, name) = (self.shared_attributes(), &self.item.vis, &self.item.sig.ident);
        let attributes: Vec<_> = attributes.collect();
        let docs = format!("What stands beside the cached function [`{0}`](fn@{0}).", self.bare_name());
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
