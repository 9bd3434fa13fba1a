//! The expansion of `cache_multi_on_arguments`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::visit_mut::VisitMut;
use syn::{Error, Lifetime, Result, Type, TypeReference};

use crate::cached_fn::CachedFn;
use crate::call::{self, Evaluation};
use crate::companions::{Companion, own};
use crate::key;
use crate::returns::{generics_of, is_plain};
use crate::settings::{MULTI, Settings};

const KEYS: &str = "a function of many values takes its keys as one slice, `keys: &[K]`; leave other arguments out with \
                    `ignore(shop)`, or make them part of each key with `ignore(shop), key_by(shop)`";

const NOT_A_LIST: &str = "a function of many values returns one value per key: return `Vec<T>`, or a `Result` of it; if it \
                          returns a map, write `asdict`";

const NOT_A_MAP: &str = "a function with `asdict` returns a map: return `HashMap<K, V>` or `BTreeMap<K, V>`, or a `Result` \
                         of one";

pub(crate) fn expand(settings: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let settings = Settings { is_multi: true, ..Settings::read(settings, MULTI)? };
    let function = CachedFn::read(function, &settings)?;
    let multi = Multi::new(&function, &settings)?;
    let companions = [multi.key(), multi.get()?, multi.set(), multi.refresh()?, multi.invalidate()];
    Ok(function.assembled(&multi.body()?, &companions))
}

struct Multi<'a> {
    function: &'a CachedFn,
    settings: &'a Settings,
    /// The argument that is the slice, and the type of its items.
    slice: &'a Ident,
    item: &'a Type,
    /// The type of one value, and the type that `get` returns.
    value: TokenStream,
    known: TokenStream,
}

impl<'a> Multi<'a> {
    fn new(function: &'a CachedFn, settings: &'a Settings) -> Result<Self> {
        let (slice, item) = slice(function)?;
        let (value, known) = values(function, settings.is_asdict)?;
        Ok(Multi { function, settings, slice, item, value, known })
    }

    fn evaluation(&self) -> Evaluation<'_> {
        let Multi { function, settings, slice, value, .. } = self;
        if function.asyncness().is_some() {
            return self.evaluation_async();
        }
        let (missing, path) = (own("missing"), function.path_to("original"));
        let receiver = function.receiver.iter().map(|receiver| &receiver.self_token);
        let names = function.names().into_iter().map(|name| if name == *slice { &missing } else { name });
        let original = quote!(#path(#(#receiver,)* #(#names),*));
        let (given, taken) = (slice.to_token_stream(), missing.to_token_stream());
        let key = call::key_variable();
        Evaluation { function, settings, value, key, given, taken, others: None, original }
    }

    fn evaluation_async(&self) -> Evaluation<'_> {
        let Multi { function, settings, slice, value, .. } = self;
        let (missing, this, path) = (own("missing"), own("this"), function.path_to("original"));
        let receiver = call::given_receiver(function, settings);
        let (receiver, this) = (receiver.iter(), Vec::from_iter(receiver.iter().map(|_| &this)));
        let others = function.arguments.iter().filter(|argument| argument.name != **slice);
        let (names, others): (Vec<_>, Vec<_>) =
            others.map(|argument| (&argument.name, call::given_argument(argument, settings))).unzip();
        let others = Some((quote!((#(#receiver,)* #(#others,)*)), quote!((#(#this,)* #(#names,)*))));
        let of_original = function.names().into_iter().map(|name| {
            let borrow = (name == *slice).then(|| quote!(&#missing));
            borrow.unwrap_or_else(|| name.to_token_stream())
        });
        let original = quote!(#path(#(#this,)* #(#of_original),*));
        let (given, taken) = (slice.to_token_stream(), missing.to_token_stream());
        Evaluation { function, settings, value, key: call::key_variable(), given, taken, others, original }
    }

    /// Returns the body of the cached function.
    fn body(&self) -> Result<TokenStream> {
        Ok(self.with_keys(&self.evaluation().evaluate()?))
    }

    /// Returns `last`, after a statement that makes the keys.
    fn with_keys(&self, last: &TokenStream) -> TokenStream {
        let made = key::of_slice(self.function, self.settings, self.slice);
        call::after_key(self.function, &self.value, &made, last)
    }

    fn key(&self) -> Companion {
        Companion {
            name: "key",
            docs: "Returns the keys of `{}` for these arguments.",
            parameters: self.function.parameters(),
            returns: quote!(::std::vec::Vec<::std::string::String>),
            body: key::of_slice(self.function, self.settings, self.slice),
            calls_region: false,
            lifetime: None,
        }
    }

    fn get(&self) -> Result<Companion> {
        let Multi { function, settings, slice, known, .. } = self;
        let (key, options, span) = (call::key_variable(), call::options(settings)?, function.returns.span());
        let returned = function.returns.located(function.returns.value());
        let (callee, path) = (own("callee"), quote_spanned!(span=> ::dogpile::function::expansion));
        let last = match function.asyncness() {
            None => quote_spanned!(span=> #path::get_many::<_, #returned>(#options, &#key, #slice)),
            Some(_) => quote_spanned! {span=>
                let #callee = #options;
                #path::get_many_async::<_, _, _, #returned>(#callee, &#key, #slice).await
            },
        };
        Ok(Companion {
            name: "get",
            docs: "Returns the cached values of `{}` for these arguments, without calling it.\n\n# Errors\nIf the region fails.",
            parameters: function.parameters(),
            returns: quote!(::core::result::Result<#known, ::dogpile::RegionError>),
            body: self.with_keys(&last),
            calls_region: true,
            lifetime: None,
        })
    }

    fn set(&self) -> Companion {
        let Multi { function, settings, slice, item, value, .. } = self;
        let (given, new, key) = (own("values"), own("new"), call::key_variable());
        let (receiver, item, region) =
            (function.receiver.iter(), named_lifetimes(item), call::region(settings));
        let others = function.arguments.iter().filter(|argument| argument.name != **slice);
        let (names, types): (Vec<_>, Vec<_>) = others.map(|argument| (&argument.name, &argument.ty)).unzip();
        let items = quote!(::core::iter::IntoIterator<Item = (#item, #value)>);
        let entries = quote!((::core::iter::Iterator::zip(#key.into_iter(), #new)));
        let last = self.with_keys(&call::method(function, &region, "set_multi", &entries));
        let body = quote! {
            let (#slice, #new): (::std::vec::Vec<_>, ::std::vec::Vec<_>) =
                ::core::iter::IntoIterator::into_iter(#given).unzip();
            #last
        };
        Companion {
            name: "set",
            docs: "Stores values of `{}`, each for one argument.\n\n# Errors\nIf the region fails.",
            parameters: quote!(#(#receiver,)* #given: impl #items, #(#names: #types),*),
            returns: quote!(::core::result::Result<(), ::dogpile::RegionError>),
            body,
            calls_region: true,
            lifetime: Some(keys_lifetime()),
        }
    }

    fn refresh(&self) -> Result<Companion> {
        let (returned, failure) = (self.function.returns.value(), self.function.returns.failure());
        Ok(Companion {
            name: "refresh",
            docs: "Calls `{}` once with all arguments, and stores its values.\n\n# Errors\nIf the region or the function fails.",
            parameters: self.function.parameters(),
            returns: quote!(::core::result::Result<#returned, #failure>),
            body: self.with_keys(&self.evaluation().refresh()?),
            calls_region: true,
            lifetime: None,
        })
    }

    fn invalidate(&self) -> Companion {
        let (key, region) = (call::key_variable(), call::region(self.settings));
        Companion {
            name: "invalidate",
            docs: "Deletes the cached values of `{}` for these arguments.\n\n# Errors\nIf the region fails.",
            parameters: self.function.parameters(),
            returns: quote!(::core::result::Result<(), ::dogpile::RegionError>),
            body: self.with_keys(&call::method(self.function, &region, "delete_multi", &quote!((&#key)))),
            calls_region: true,
            lifetime: None,
        }
    }
}

/// Returns a lifetime for the keys that are set. It cannot be left out in `impl IntoIterator<...>`.
fn keys_lifetime() -> Lifetime {
    Lifetime::new("'keys_that_are_set", Span::mixed_site())
}

/// Returns `ty` with [`keys_lifetime`] in place of the lifetimes that are left out.
fn named_lifetimes(ty: &Type) -> Type {
    struct Name;

    impl VisitMut for Name {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            reference.lifetime.get_or_insert_with(keys_lifetime);
            syn::visit_mut::visit_type_reference_mut(self, reference);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident == "_" {
                *lifetime = keys_lifetime();
            }
        }
    }

    let mut named = ty.clone();
    Name.visit_type_mut(&mut named);
    named
}

/// Returns the argument that is the slice of keys, and the type of its items.
fn slice(function: &CachedFn) -> Result<(&Ident, &Type)> {
    let mut arguments = function.key_arguments();
    let first = arguments.next().ok_or_else(|| Error::new_spanned(&function.item.sig.ident, KEYS))?;
    if let Some(second) = arguments.next() {
        return Err(Error::new_spanned(&second.name, KEYS));
    }
    match &first.ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => Ok((&first.name, &slice.elem)),
            other => Err(Error::new_spanned(other, KEYS)),
        },
        other => Err(Error::new_spanned(other, KEYS)),
    }
}

/// Returns the type of one of the values, and the type that `get` returns.
fn values(function: &CachedFn, is_asdict: bool) -> Result<(TokenStream, TokenStream)> {
    let returned = function.returns.value();
    let written = function.returns.written_value();
    let listed = written.and_then(|written| generics_of(written, &["Vec"]));
    let mapped = written.and_then(|written| generics_of(written, &["HashMap", "BTreeMap"]));
    match (written, listed.as_deref(), mapped.as_deref()) {
        (_, Some([value, ..]), _) if !is_asdict => {
            Ok((quote!(#value), quote!(::std::vec::Vec<::core::option::Option<#value>>)))
        }
        (_, _, Some([_, value, ..])) if is_asdict => Ok((quote!(#value), returned)),
        (Some(written), _, _) if is_plain(written) => {
            Err(Error::new_spanned(written, if is_asdict { NOT_A_MAP } else { NOT_A_LIST }))
        }
        _ => Ok(values_by_type(function, is_asdict)),
    }
}

/// Returns both types of a return type whose name may be an alias.
fn values_by_type(function: &CachedFn, is_asdict: bool) -> (TokenStream, TokenStream) {
    let (returned, span) = (function.returns.value(), function.returns.span());
    let kind = Ident::new(if is_asdict { "MapOfValues" } else { "ListOfValues" }, span);
    let projection = |name| {
        let name = Ident::new(name, span);
        quote_spanned!(span=> <#returned as ::dogpile::function::expansion::#kind>::#name)
    };
    (projection("Value"), projection("Known"))
}
