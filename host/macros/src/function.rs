//! [`Subject`]: the function that is cached, checked for what cannot be.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{
    AttrStyle, Attribute, Error, FnArg, GenericArgument, GenericParam, ItemFn, Meta, Pat, PathArguments,
    Receiver, Result, ReturnType, Safety, Type, TypePath,
};

use crate::receiver;
use crate::settings::Settings;

/// The function that is cached.
pub(crate) struct Subject {
    pub(crate) item: ItemFn,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returned,
    /// Whether it stands in an `impl`.
    pub(crate) is_method: bool,
}

/// An argument, `self` not counted.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) is_ignored: bool,
}

/// What the function returns, a `Result` or not.
pub(crate) struct Returned {
    /// What is cached of it.
    pub(crate) value: Type,
    /// The type of its errors, if it is a `Result`.
    pub(crate) error: Option<TokenStream>,
}

impl Subject {
    /// Reads a function, and refuses one that cannot be cached.
    pub(crate) fn read(function: TokenStream, settings: &Settings) -> Result<Self> {
        let span = function.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let mut item: ItemFn = syn::parse2(function).map_err(|_| {
            Error::new(span, "only a function with a body can be cached; put the attribute on a `fn`")
        })?;
        // Those at the head of the body are before it from now on.
        item.attrs.iter_mut().for_each(|attribute| attribute.style = AttrStyle::Outer);
        refuse_kinds(&item)?;
        let returns = Returned::read(&item)?;
        let (receiver, arguments) = arguments(&item, &settings.ignore)?;
        receiver::check(receiver.as_ref(), settings)?;
        let is_method = receiver.is_some() || settings.is_associated;
        Ok(Subject { item, receiver, arguments, returns, is_method })
    }

    /// The arguments that the key is made of.
    pub(crate) fn key_arguments(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.is_ignored)
    }

    /// All names of arguments.
    pub(crate) fn names(&self) -> Vec<&Ident> {
        self.arguments.iter().map(|argument| &argument.name).collect()
    }

    /// The parameters of the functions beside it: as its own, by plain names.
    pub(crate) fn parameters(&self) -> TokenStream {
        let (names, types) = (self.names(), self.arguments.iter().map(|argument| &argument.ty));
        let receiver = self.receiver.iter();
        quote!(#(#receiver,)* #(#names: #types),*)
    }

    /// `::<T, N>`, for its generic parameters other than lifetimes.
    pub(crate) fn turbofish(&self) -> TokenStream {
        let names: Vec<&Ident> = self.type_parameters().chain(self.const_parameters()).collect();
        if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
    }

    /// Its generic types.
    pub(crate) fn type_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.item.sig.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            _ => None,
        })
    }

    /// Its generic constants.
    pub(crate) fn const_parameters(&self) -> impl Iterator<Item = &Ident> {
        self.item.sig.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Const(parameter) => Some(&parameter.ident),
            _ => None,
        })
    }

    /// The attributes that the function as it was written needs: whether it is there, and the lints of its body.
    pub(crate) fn original_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.item.attrs.iter().filter(|attribute| {
            ["cfg", "allow", "expect", "warn", "deny"].iter().any(|name| attribute.path().is_ident(name))
        })
    }

    /// The same for what stands beside it, in which lints that are expected need not be found.
    pub(crate) fn shared_attributes(&self) -> impl Iterator<Item = Attribute> {
        self.original_attributes().map(allowing)
    }

    /// All attributes, for the cached function, in which lints that are expected need not be found.
    pub(crate) fn all_attributes(&self) -> impl Iterator<Item = Attribute> {
        self.item.attrs.iter().map(allowing)
    }
}

/// `#[allow(...)]` for `#[expect(...)]`; any other attribute as it is.
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
    if let Some(token) = &signature.asyncness {
        let problem = "an `async fn` cannot be cached yet; cache the function that makes the value, or store what \
                       was awaited with `CacheRegion::set`";
        return Err(Error::new(token.span(), problem));
    }
    if let Some(token) = &signature.constness {
        return Err(Error::new(
            token.span(),
            "a cached function is not `const`: it asks a region; take `const` away",
        ));
    }
    let problem = "a cached function is neither `unsafe` nor `extern`; cache a safe function that calls it";
    if let Some(abi) = &signature.abi {
        return Err(Error::new(abi.span(), problem));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return Err(Error::new(token.span(), problem));
    }
    Ok(())
}

/// The receiver and the arguments of a function.
fn arguments(item: &ItemFn, ignored: &[Ident]) -> Result<(Option<Receiver>, Vec<Argument>)> {
    let (mut receiver, mut arguments) = (None, Vec::new());
    for input in &item.sig.inputs {
        match input {
            // Whether it is `mut` is the body's business.
            FnArg::Receiver(found) => receiver = Some(Receiver { mutability: None, ..found.clone() }),
            FnArg::Typed(typed) => {
                let Pat::Ident(pattern) = &*typed.pat else {
                    let problem = "the arguments of a cached function have plain names, of which its keys are made; \
                                   name it, and take it apart in the body, or leave it out by `ignore(name)`";
                    return Err(Error::new_spanned(&typed.pat, problem));
                };
                let (name, ty) = (pattern.ident.clone(), (*typed.ty).clone());
                let is_ignored = ignored.contains(&name);
                arguments.push(Argument { name, ty, is_ignored });
            }
        }
    }
    refuse_unknown(ignored, &arguments)?;
    match arguments.iter().find(|argument| !argument.is_ignored && matches!(argument.ty, Type::ImplTrait(_)))
    {
        Some(argument) => {
            let problem =
                "a key tells what type this is, so it needs a name: write `fn name<T: ...>(argument: T)`";
            Err(Error::new_spanned(&argument.ty, problem))
        }
        None => Ok((receiver, arguments)),
    }
}

/// Refuses to ignore an argument that is not there.
fn refuse_unknown(ignored: &[Ident], arguments: &[Argument]) -> Result<()> {
    let known: Vec<String> = arguments.iter().map(|argument| format!("`{}`", argument.name)).collect();
    for name in ignored {
        if name != "self" && arguments.iter().all(|argument| argument.name != *name) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let problem = format!("there is no argument `{name}` to ignore; there are: {known}");
            return Err(Error::new(name.span(), problem));
        }
    }
    Ok(())
}

impl Returned {
    fn read(item: &ItemFn) -> Result<Self> {
        let ReturnType::Type(_, whole) = &item.sig.output else {
            let problem = "a function that returns nothing has nothing to cache";
            return Err(Error::new(item.sig.ident.span(), problem));
        };
        let whole = (**whole).clone();
        let problem = match &whole {
            Type::Reference(_) => {
                "a cached value is its caller's own, not a reference; return a `String`, a `Vec` or an `Arc`"
            }
            Type::ImplTrait(_) => {
                "the type of a cached value has a name, so that it can be read again; write it out"
            }
            Type::Never(_) => "a function that never returns has nothing to cache",
            _ => return Returned::of(whole),
        };
        Err(Error::new_spanned(whole, problem))
    }

    fn of(whole: Type) -> Result<Self> {
        let Some(types) = generics_of(&whole, &["Result"]) else {
            return Ok(Returned { value: whole, error: None });
        };
        let (value, error) = match types.as_slice() {
            [value, error] => ((*value).clone(), error.to_token_stream()),
            [value] => {
                ((*value).clone(), quote!(<#whole as ::dogpile::function::expansion::AnyResult>::Error))
            }
            _ => {
                let problem = "this `Result` does not say what is cached; write `Result<T, E>` out";
                return Err(Error::new_spanned(whole, problem));
            }
        };
        Ok(Returned { value, error: Some(error) })
    }
}

/// The generic types of `ty`, if it is a path to one of `names`.
pub(crate) fn generics_of<'t>(ty: &'t Type, names: &[&str]) -> Option<Vec<&'t Type>> {
    let Type::Path(TypePath { path, .. }) = ty else { return None };
    let last = path.segments.last().filter(|last| names.iter().any(|name| last.ident == name))?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(Vec::new()) };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some(types.collect())
}
