//! The expansion of `cache_on_arguments`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

use crate::cached_fn::CachedFn;
use crate::call::{self, Evaluation};
use crate::companions::{Companion, own};
use crate::key;
use crate::settings::{SINGLE, Settings};

pub(crate) fn expand(settings: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let settings = Settings::read(settings, SINGLE)?;
    let function = CachedFn::read(function, &settings)?;
    let value = function.returns.value();
    let single = Single { function: &function, settings: &settings, value };
    let companions = [single.key(), single.get()?, single.set(), single.refresh()?, single.invalidate()];
    Ok(function.assembled(&single.body()?, &companions))
}

struct Single<'a> {
    function: &'a CachedFn,
    settings: &'a Settings,
    value: TokenStream,
}

impl Single<'_> {
    fn evaluation(&self) -> Evaluation<'_> {
        let Single { function, settings, value } = self;
        let (names, this, path) = (function.names(), own("this"), function.path_to("original"));
        let receiver = call::given_receiver(function, settings);
        let (receiver, this) = (receiver.iter(), receiver.iter().map(|_| &this));
        let arguments = function.arguments.iter().map(|argument| call::given_argument(argument, settings));
        let (given, taken) = (quote!((#(#receiver,)* #(#arguments,)*)), quote!((#(#this,)* #(#names,)*)));
        let original = quote!(#path #taken);
        let key = call::key_variable();
        Evaluation { function, settings, value, key, given, taken, others: None, original }
    }

    /// Returns the body of the cached function.
    fn body(&self) -> Result<TokenStream> {
        Ok(self.with_key(&self.evaluation().evaluate()?))
    }

    /// Returns `last`, after a statement that makes the key.
    fn with_key(&self, last: &TokenStream) -> TokenStream {
        let made = key::of_call(self.function, self.settings);
        call::after_key(self.function, &self.value, &made, last)
    }

    fn key(&self) -> Companion {
        let key_of = key::of_call(self.function, self.settings);
        Companion {
            name: "key",
            docs: "Returns the key of `{}` for these arguments.",
            parameters: self.function.parameters(),
            returns: quote!(::std::string::String),
            body: quote!(::std::string::String::from(&*#key_of)),
            calls_region: false,
            lifetime: None,
        }
    }

    fn get(&self) -> Result<Companion> {
        let (value, key, options) = (&self.value, call::key_variable(), call::options(self.settings)?);
        let located = self.function.returns.located(value.clone());
        let read = call::method(self.function, &options, "get", &quote!(::<#located>(&#key)));
        Ok(Companion {
            name: "get",
            docs: "Returns the cached value of `{}` for these arguments, without calling it.\n\n# Errors\nIf the region fails.",
            parameters: self.function.parameters(),
            returns: quote!(::core::result::Result<::core::option::Option<#value>, ::dogpile::RegionError>),
            body: self.with_key(&read),
            calls_region: true,
            lifetime: None,
        })
    }

    fn set(&self) -> Companion {
        let Single { function, settings, value } = self;
        let (names, types) = (function.names(), function.arguments.iter().map(|argument| &argument.ty));
        let (given, key, region) = (own("value"), call::key_variable(), call::region(settings));
        let (receiver, located) = (function.receiver.iter(), function.returns.located(value.clone()));
        let store = call::method(function, &region, "set", &quote!(::<#located>(&#key, #given)));
        Companion {
            name: "set",
            docs: "Stores a value of `{}` for these arguments.\n\n# Errors\nIf the region fails.",
            parameters: quote!(#(#receiver,)* #given: #value, #(#names: #types),*),
            returns: quote!(::core::result::Result<(), ::dogpile::RegionError>),
            body: self.with_key(&store),
            calls_region: true,
            lifetime: None,
        }
    }

    fn refresh(&self) -> Result<Companion> {
        let (value, failure) = (&self.value, self.function.returns.failure());
        Ok(Companion {
            name: "refresh",
            docs: "Calls `{}` in any case, and stores its value.\n\n# Errors\nIf the region or the function fails.",
            parameters: self.function.parameters(),
            returns: quote!(::core::result::Result<#value, #failure>),
            body: self.with_key(&self.evaluation().refresh()?),
            calls_region: true,
            lifetime: None,
        })
    }

    fn invalidate(&self) -> Companion {
        let (key, region) = (call::key_variable(), call::region(self.settings));
        Companion {
            name: "invalidate",
            docs: "Deletes the cached value of `{}` for these arguments.\n\n# Errors\nIf the region fails.",
            parameters: self.function.parameters(),
            returns: quote!(::core::result::Result<(), ::dogpile::RegionError>),
            body: self.with_key(&call::method(self.function, &region, "delete", &quote!((&#key)))),
            calls_region: true,
            lifetime: None,
        }
    }
}
