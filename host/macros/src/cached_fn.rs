//! [`CachedFn`]: the function that is cached, checked.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{AttrStyle, Attribute, Error, GenericParam, ItemFn, Meta, Receiver, Result, Safety, Token};

use crate::arguments::{self, Argument};
use crate::occurrence::occurrence;
use crate::returns::Returns;
use crate::settings::Settings;
use crate::{self_in_key, surroundings};

const NOT_A_FUNCTION: &str = "only a function with a body can be cached; put the attribute on a `fn`";

const BACKGROUND: &str = "`background` is for blocking functions, which a runner calls; write `detach`, so that a task of its own \
                          evaluates an `async fn`, or remove it";

const DETACH: &str = "`detach` is for an `async fn`, which becomes a task of its own; write `background`, so that a runner calls a \
                      blocking function for stale values, or remove it";

const CONST: &str = "a cached function cannot be `const`, because it calls a region; remove `const`";

const UNSAFE: &str = "a cached function cannot be `unsafe` or `extern`; cache a safe function that calls it";

/// The function that is cached.
pub(crate) struct CachedFn {
    pub(crate) item: ItemFn,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returns,
    /// Whether it is in an `impl`.
    pub(crate) is_method: bool,
    /// How many functions the same attribute cached before, in a macro that is invoked several times.
    pub(crate) occurrence: u32,
}

impl CachedFn {
    /// Reads a function, and refuses one that cannot be cached.
    pub(crate) fn read(function: TokenStream, settings: &Settings) -> Result<Self> {
        let span = function.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let mut item: ItemFn = syn::parse2(function.clone()).map_err(|_| Error::new(span, NOT_A_FUNCTION))?;
        // Attributes at the head of the body move in front of the function.
        item.attrs.iter_mut().for_each(|attribute| attribute.style = AttrStyle::Outer);
        surroundings::check(&item, function.clone(), settings)?;
        refuse_kinds(&item)?;
        refuse_settings(&item, settings)?;
        let (receiver, arguments) = arguments::read(&item, settings)?;
        self_in_key::check(receiver.as_ref(), settings)?;
        let is_method = receiver.is_some() || settings.is_associated;
        let returns = Returns::read(&item, is_method, function)?;
        let occurrence = occurrence(&item.sig.ident.to_string());
        Ok(CachedFn { item, receiver, arguments, returns, is_method, occurrence })
    }

    /// Returns the function's name without `r#`.
    pub(crate) fn bare_name(&self) -> String {
        self.item.sig.ident.unraw().to_string()
    }

    /// Returns the arguments that are part of the key.
    pub(crate) fn key_arguments(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.is_ignored)
    }

    /// Returns the names of all arguments.
    pub(crate) fn names(&self) -> Vec<&Ident> {
        self.arguments.iter().map(|argument| &argument.name).collect()
    }

    /// Returns the parameters of most companions: those of the function, with plain names.
    pub(crate) fn parameters(&self) -> TokenStream {
        let (names, types) = (self.names(), self.arguments.iter().map(|argument| &argument.ty));
        let receiver = self.receiver.iter();
        quote!(#(#receiver,)* #(#names: #types),*)
    }

    /// Returns `async` for an asynchronous function.
    pub(crate) fn asyncness(&self) -> Option<&Token![async]> {
        self.item.sig.asyncness.as_ref()
    }

    /// Returns the name of a companion.
    pub(crate) fn companion(&self, what: &str) -> Ident {
        let name = &self.item.sig.ident;
        if self.is_method {
            format_ident!("{}_{what}", name.unraw(), span = name.span())
        } else {
            Ident::new(what, name.span())
        }
    }

    /// Returns a path to a companion.
    pub(crate) fn path_to(&self, what: &str) -> TokenStream {
        let (name, companion, turbofish) = (&self.item.sig.ident, self.companion(what), self.turbofish());
        let owner = if self.is_method { quote!(Self) } else { name.to_token_stream() };
        quote!(#owner::#companion #turbofish)
    }

    /// Returns `::<T, N>` for the generic parameters other than lifetimes.
    fn turbofish(&self) -> TokenStream {
        let names: Vec<&Ident> = self.type_parameters().chain(self.const_parameters()).collect();
        if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
    }

    /// Returns the names of the generic types.
    pub(crate) fn type_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.item.sig.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            _ => None,
        })
    }

    /// Returns the names of the generic constants.
    pub(crate) fn const_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.item.sig.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Const(parameter) => Some(&parameter.ident),
            _ => None,
        })
    }

    /// Returns the attributes that also apply to the original: conditional compilation, and lints of the body.
    pub(crate) fn original_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.item.attrs.iter().filter(|attribute| {
            ["cfg", "allow", "expect", "warn", "deny"].iter().any(|name| attribute.path().is_ident(name))
        })
    }

    /// Returns these attributes for the companions, in which an expected lint may not occur.
    pub(crate) fn companion_attributes(&self) -> impl Iterator<Item = Attribute> {
        self.original_attributes().map(allowing)
    }

    /// Returns all attributes for the cached function, in which an expected lint may not occur.
    pub(crate) fn all_attributes(&self) -> impl Iterator<Item = Attribute> {
        self.item.attrs.iter().map(allowing)
    }
}

/// Returns `#[allow(...)]` for `#[expect(...)]`, and any other attribute as it is.
fn allowing(attribute: &Attribute) -> Attribute {
    let mut attribute = attribute.clone();
    if let Meta::List(list) = &mut attribute.meta
        && list.path.is_ident("expect")
    {
        list.path = Ident::new("allow", list.path.span()).into();
    }
    attribute
}

fn refuse_kinds(item: &ItemFn) -> Result<()> {
    let signature = &item.sig;
    if let Some(token) = &signature.constness {
        return Err(Error::new(token.span(), CONST));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new(abi.span(), UNSAFE));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return Err(Error::new(token.span(), UNSAFE));
    }
    Ok(())
}

/// Refuses settings that the other kind of function has.
fn refuse_settings(item: &ItemFn, settings: &Settings) -> Result<()> {
    match (item.sig.asyncness, settings.background, settings.detach) {
        (Some(_), Some(background), _) => Err(Error::new(background, BACKGROUND)),
        (None, _, Some(detach)) => Err(Error::new(detach, DETACH)),
        _ => Ok(()),
    }
}
