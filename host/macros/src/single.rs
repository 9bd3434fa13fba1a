//! `cache_on_arguments`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

use crate::beside::{Function, own};
use crate::function::Subject;
use crate::key;
use crate::settings::{SINGLE, Settings};

pub(crate) fn expand(settings: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let settings = Settings::read(settings, SINGLE)?;
    let subject = Subject::read(function, &settings)?;
    let single = Single { subject: &subject, settings: &settings };
    let cached = subject.cached(&single.cached()?);
    let beside = [
        subject.original(),
        single.key(),
        single.get()?,
        single.set(),
        single.refresh()?,
        single.invalidate(),
    ];
    Ok(subject.assembled(&cached, &beside))
}

struct Single<'a> {
    subject: &'a Subject,
    settings: &'a Settings,
}

impl Single<'_> {
    /// The arguments, with `self` before them, as a tuple and as what takes such a tuple apart again.
    fn tuple(&self) -> (TokenStream, TokenStream) {
        let (names, this) = (self.subject.names(), own("this"));
        let receiver = self.subject.receiver.as_ref().map(|receiver| &receiver.self_token);
        let (receiver, this) = (receiver.iter(), receiver.iter().map(|_| &this));
        (quote!((#(#receiver,)* #(#names,)*)), quote!((#(#this,)* #(#names,)*)))
    }

    /// The body of the cached function.
    fn cached(&self) -> Result<TokenStream> {
        let Single { subject, settings } = self;
        let (key_of, call) =
            (key::of_call(subject, settings), key::filtered_call(settings, &subject.returns.value)?);
        let ((given, taken), original, key) = (self.tuple(), subject.path_to("original"), own("key"));
        let evaluate = own(match (subject.returns.error.is_some(), settings.is_in_background) {
            (true, false) => "evaluate_filtered",
            (true, true) => "evaluate_in_background",
            (false, false) => "evaluate_sure",
            (false, true) => "evaluate_sure_in_background",
        });
        let moves = settings.is_in_background.then(|| quote!(move));
        Ok(quote! {
            let #key = #key_of;
            ::dogpile::function::expansion::#evaluate(#call, &#key, #given, #moves |#taken| #original #taken)
        })
    }

    fn key(&self) -> TokenStream {
        let (parameters, key_of) = (self.subject.parameters(), key::of_call(self.subject, self.settings));
        let answer = quote!(::std::string::String);
        let body = quote!(::std::string::String::from(&*#key_of));
        self.subject.function(&Function::new(
            "key",
            "Returns the key of `{}` for these arguments.",
            parameters,
            answer,
            body,
        ))
    }

    fn get(&self) -> Result<TokenStream> {
        let Single { subject, settings } = self;
        let (parameters, value, key) = (subject.parameters(), &subject.returns.value, own("key"));
        let (key_of, options) = (key::of_call(subject, settings), key::options(settings)?);
        let answer = quote! {
            ::core::result::Result<::core::option::Option<#value>, ::dogpile::RegionError>
        };
        let body = quote!(let #key = #key_of; #options.get::<#value>(&#key));
        let docs = "Returns the cached value of `{}` for these arguments, without evaluating it.\n\n# Errors\nIf the region fails.";
        Ok(subject.function(&Function::new("get", docs, parameters, answer, body)))
    }

    fn set(&self) -> TokenStream {
        let Single { subject, settings } = self;
        let (names, types) = (subject.names(), subject.arguments.iter().map(|argument| &argument.ty));
        let (value, given, key) = (&subject.returns.value, own("value"), own("key"));
        let receiver = subject.receiver.iter();
        let parameters = quote!(#(#receiver,)* #given: #value, #(#names: #types),*);
        let (key_of, region) = (key::of_call(subject, settings), key::region(settings));
        let answer = quote!(::core::result::Result<(), ::dogpile::RegionError>);
        let body = quote!(let #key = #key_of; #region.set::<#value>(&#key, #given));
        let docs = "Stores a value of `{}` for these arguments.\n\n# Errors\nIf the region fails.";
        subject.function(&Function::new("set", docs, parameters, answer, body))
    }

    fn refresh(&self) -> Result<TokenStream> {
        let Single { subject, settings } = self;
        let (parameters, value, key) = (subject.parameters(), &subject.returns.value, own("key"));
        let (key_of, call) = (key::of_call(subject, settings), key::filtered_call(settings, value)?);
        let ((given, _), original) = (self.tuple(), subject.path_to("original"));
        let (refresh, answer) = match &subject.returns.error {
            None => ("refresh_sure", quote!(::core::result::Result<#value, ::dogpile::RegionError>)),
            Some(error) => {
                ("refresh", quote!(::core::result::Result<#value, ::dogpile::CreateError<#error>>))
            }
        };
        let refresh = own(refresh);
        let body = quote! {
            let #key = #key_of;
            ::dogpile::function::expansion::#refresh(#call, &#key, || #original #given)
        };
        let docs = "Evaluates `{}` and stores its value.\n\n# Errors\nIf the region or the function fails.";
        Ok(subject.function(&Function::new("refresh", docs, parameters, answer, body)))
    }

    fn invalidate(&self) -> TokenStream {
        let Single { subject, settings } = self;
        let (parameters, key) = (subject.parameters(), own("key"));
        let (key_of, region) = (key::of_call(subject, settings), key::region(settings));
        let answer = quote!(::core::result::Result<(), ::dogpile::RegionError>);
        let body = quote!(let #key = #key_of; #region.delete(&#key));
        let docs = "Deletes the cached value of `{}` for these arguments.\n\n# Errors\nIf the region fails.";
        subject.function(&Function::new("invalidate", docs, parameters, answer, body))
    }
}
