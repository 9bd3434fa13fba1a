//! `cache_multi_on_arguments`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::visit_mut::VisitMut;
use syn::{Error, Lifetime, Result, Type, TypeReference};

use crate::beside::{Function, own};
use crate::function::{Subject, generics_of};
use crate::key;
use crate::settings::{MULTI, Settings};

pub(crate) fn expand(settings: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let settings = Settings::read(settings, MULTI)?;
    let subject = Subject::read(function, &settings)?;
    let multi = Multi::new(&subject, &settings)?;
    let cached = subject.cached(&multi.cached()?);
    let beside =
        [subject.original(), multi.key(), multi.get()?, multi.set(), multi.refresh()?, multi.invalidate()];
    Ok(subject.assembled(&cached, &beside))
}

struct Multi<'a> {
    subject: &'a Subject,
    settings: &'a Settings,
    /// The argument that is the slice, and the type of its items.
    keys: &'a Ident,
    key: &'a Type,
    /// The type of one value.
    value: &'a Type,
}

impl<'a> Multi<'a> {
    fn new(subject: &'a Subject, settings: &'a Settings) -> Result<Self> {
        let (keys, key) = keys(subject)?;
        let value = value(&subject.returns.value, settings.is_asdict)?;
        Ok(Multi { subject, settings, keys, key, value })
    }

    /// A call of the function as it was written, with `keys`.
    fn original(&self, keys: &Ident) -> TokenStream {
        let (original, slice) = (self.subject.path_to("original"), self.keys);
        let receiver = self.subject.receiver.iter().map(|receiver| &receiver.self_token);
        let names = self.subject.names().into_iter().map(|name| if name == slice { keys } else { name });
        quote!(#original(#(#receiver,)* #(#names),*))
    }

    /// The body of the cached function.
    fn cached(&self) -> Result<TokenStream> {
        let Multi { subject, settings, keys, value, .. } = self;
        let (keys_of, call) = (key::of_slice(subject, settings, keys), key::filtered_call(settings, value)?);
        let (missing, made) = (own("missing"), own("made"));
        let original = self.original(&missing);
        let evaluate = own(match (subject.returns.error.is_some(), settings.is_in_background) {
            (true, false) => "evaluate_many",
            (true, true) => "evaluate_many_in_background",
            (false, false) => "evaluate_many_sure",
            (false, true) => "evaluate_many_sure_in_background",
        });
        let moves = settings.is_in_background.then(|| quote!(move));
        Ok(quote! {
            let #made = #keys_of;
            ::dogpile::function::expansion::#evaluate(#call, &#made, #keys, #moves |#missing| #original)
        })
    }

    fn key(&self) -> TokenStream {
        let parameters = self.subject.parameters();
        let body = key::of_slice(self.subject, self.settings, self.keys);
        let answer = quote!(::std::vec::Vec<::std::string::String>);
        self.subject.function(&Function::new(
            "key",
            "Returns the keys of `{}` for these arguments.",
            parameters,
            answer,
            body,
        ))
    }

    fn get(&self) -> Result<TokenStream> {
        let Multi { subject, settings, keys, value, .. } = self;
        let (parameters, made, returned) = (subject.parameters(), own("made"), &subject.returns.value);
        let (keys_of, options) = (key::of_slice(subject, settings, keys), key::options(settings)?);
        let answer = if settings.is_asdict {
            quote!(#returned)
        } else {
            quote!(::std::vec::Vec<::core::option::Option<#value>>)
        };
        let answer = quote!(::core::result::Result<#answer, ::dogpile::RegionError>);
        let body = quote! {
            let #made = #keys_of;
            ::dogpile::function::expansion::get_many::<_, #returned>(#options, &#made, #keys)
        };
        let docs = "Returns the cached values of `{}` for these arguments, without evaluating it.\n\n# Errors\nIf the region fails.";
        Ok(subject.function(&Function::new("get", docs, parameters, answer, body)))
    }

    fn set(&self) -> TokenStream {
        let Multi { subject, settings, keys, key, value } = self;
        let (given, new, made) = (own("values"), own("new"), own("made"));
        let others = subject.arguments.iter().filter(|argument| argument.name != **keys);
        let (names, types): (Vec<_>, Vec<_>) = others.map(|argument| (&argument.name, &argument.ty)).unzip();
        let (receiver, key) = (subject.receiver.iter(), named_lifetimes(key));
        let parameters = quote! {
            #(#receiver,)* #given: impl ::core::iter::IntoIterator<Item = (#key, #value)>, #(#names: #types),*
        };
        let (keys_of, region) = (key::of_slice(subject, settings, keys), key::region(settings));
        let answer = quote!(::core::result::Result<(), ::dogpile::RegionError>);
        let body = quote! {
            let (#keys, #new): (::std::vec::Vec<_>, ::std::vec::Vec<#value>) =
                ::core::iter::IntoIterator::into_iter(#given).unzip();
            let #made = #keys_of;
            #region.set_multi(::core::iter::Iterator::zip(#made.into_iter(), #new))
        };
        let docs = "Stores values of `{}`, each for one argument.\n\n# Errors\nIf the region fails.";
        let mut set = Function::new("set", docs, parameters, answer, body);
        set.lifetime = Some(keys_lifetime());
        subject.function(&set)
    }

    fn refresh(&self) -> Result<TokenStream> {
        let Multi { subject, settings, keys, value, .. } = self;
        let (parameters, returned, made) = (subject.parameters(), &subject.returns.value, own("made"));
        let (keys_of, call) = (key::of_slice(subject, settings, keys), key::filtered_call(settings, value)?);
        let original = self.original(keys);
        let error = match &subject.returns.error {
            Some(error) => quote!(::dogpile::CreateError<#error>),
            None => quote!(::dogpile::RegionError),
        };
        let refresh = own(if subject.returns.error.is_some() { "refresh_many" } else { "refresh_many_sure" });
        let answer = quote!(::core::result::Result<#returned, #error>);
        let body = quote! {
            let #made = #keys_of;
            ::dogpile::function::expansion::#refresh(#call, #made, #keys, || #original)
        };
        let docs = "Evaluates `{}` for all arguments in one call, and stores its values.\n\n# Errors\nIf the region or the function fails.";
        Ok(subject.function(&Function::new("refresh", docs, parameters, answer, body)))
    }

    fn invalidate(&self) -> TokenStream {
        let Multi { subject, settings, keys, .. } = self;
        let (parameters, made) = (subject.parameters(), own("made"));
        let (keys_of, region) = (key::of_slice(subject, settings, keys), key::region(settings));
        let answer = quote!(::core::result::Result<(), ::dogpile::RegionError>);
        let body = quote!(let #made = #keys_of; #region.delete_multi(&#made));
        let docs = "Deletes the cached values of `{}` for these arguments.\n\n# Errors\nIf the region fails.";
        subject.function(&Function::new("invalidate", docs, parameters, answer, body))
    }
}

/// A lifetime for the keys that are set: within `impl IntoIterator<...>` it cannot be left out.
fn keys_lifetime() -> Lifetime {
    Lifetime::new("'keys_that_are_set", Span::mixed_site())
}

/// `ty`, in which the lifetimes that are left out are [`keys_lifetime`].
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

/// The argument that is the slice of keys, and the type of its items.
fn keys(subject: &Subject) -> Result<(&Ident, &Type)> {
    let problem = "a function of many values takes its keys as one slice, `keys: &[K]`; leave other arguments out with \
                   `ignore(shop)`, or make them part of each key with `ignore(shop), key_by(shop)`";
    let mut arguments = subject.key_arguments();
    let first = arguments.next().ok_or_else(|| Error::new_spanned(&subject.item.sig.ident, problem))?;
    if let Some(second) = arguments.next() {
        return Err(Error::new_spanned(&second.name, problem));
    }
    match &first.ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => Ok((&first.name, &slice.elem)),
            other => Err(Error::new_spanned(other, problem)),
        },
        other => Err(Error::new_spanned(other, problem)),
    }
}

/// The type of one of the values that the function returns.
fn value(returned: &Type, is_asdict: bool) -> Result<&Type> {
    let (names, count, problem): (&[&str], _, _) = if is_asdict {
        let problem = "a function with `asdict` returns a map: return `HashMap<K, V>` or `BTreeMap<K, V>`, or a \
                       `Result` of one";
        (&["HashMap", "BTreeMap"], 2, problem)
    } else {
        let problem = "a function of many values returns one value per key: return `Vec<T>`, or a `Result` of it; \
                       mark a function that returns a map with `asdict`";
        (&["Vec"], 1, problem)
    };
    let types = generics_of(returned, names).filter(|types| types.len() >= count);
    let value = types.and_then(|types| types.get(count - 1).copied());
    value.ok_or_else(|| Error::new_spanned(returned, problem))
}
