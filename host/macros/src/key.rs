//! What makes the key of a call, and asks the region.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprPath, Lit, Result};

use crate::expiration;
use crate::function::{Argument, Subject};
use crate::settings::Settings;

/// As `quote!`, with names that none of the function's arguments has.
macro_rules! own {
    ($($tokens:tt)*) => { quote_spanned!(Span::mixed_site()=> $($tokens)*) };
}

/// The `Function` whose keys are made, as statements that leave it in `function`.
fn function(subject: &Subject, settings: &Settings) -> TokenStream {
    let bare = subject.item.sig.ident.unraw().to_string();
    let (name, namespace) = (&settings.key_name, &settings.namespace);
    let default_name = quote!(::core::concat!(::core::module_path!(), ":", #bare));
    let made = if [name, namespace].into_iter().flatten().all(is_literal) {
        let (name, namespace) = (name.as_ref().map_or(default_name, |name| quote!(#name)), namespace.iter());
        own! {
            let function = const { ::dogpile::function::Function::new(#name)#(.in_namespace(#namespace))* };
        }
    } else {
        let (name, namespace) = (name.as_ref().map_or(default_name, |name| quote!(&#name)), namespace.iter());
        own! {
            let name: &::core::primitive::str = #name;
            let function = ::dogpile::function::Function::new(name);
            #(
                let namespace: &::core::primitive::str = &#namespace;
                let function = function.in_namespace(namespace);
            )*
        }
    };
    // A name that was given is the whole of it, so that a method can share it with Python.
    let of = settings.key_name.is_none().then(|| of(subject, &bare));
    let types: Vec<&Ident> = subject.type_parameters().collect();
    let with_types = (!types.is_empty()).then(|| {
        own!(let types = [#(::core::any::type_name::<#types>()),*]; let function = function.with_types(&types);)
    });
    quote!(#made #of #with_types)
}

/// What the function belongs to, unless that is its module.
fn of(subject: &Subject, bare: &str) -> TokenStream {
    let place = place();
    if subject.is_method {
        return own! {
            let function = ::dogpile::function::expansion::of_method(
                function,
                ::core::any::type_name::<Self>(),
                { enum Within {} ::core::any::type_name::<Within>() },
                const { ::dogpile::function::expansion::path_len(::core::module_path!()) },
                #place,
            );
        };
    }
    let ident = &subject.item.sig.ident;
    own! {
        let function = ::dogpile::function::expansion::of_function_body(
            function,
            ::core::any::type_name::<#ident>(),
            const {
                ::dogpile::function::expansion::path_len(::core::concat!(::core::module_path!(), "::", #bare))
            },
            #place,
        );
    }
}

/// The `Place` of the attribute. Within a macro, `line!` returns the line of its invocation, and the span has the line
/// within the macro. Each may be the same for two functions.
fn place() -> TokenStream {
    let written_at = Span::call_site().unwrap();
    let (line, column) = (written_at.line(), written_at.column());
    let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
    own! {
        ::dogpile::function::expansion::Place {
            at: (::core::line!(), ::core::column!()),
            written_at: (#line, #column),
        }
    }
}

fn is_literal(given: &Expr) -> bool {
    matches!(given, Expr::Lit(ExprLit { lit: Lit::Str(_), .. }))
}

/// An argument of a call: a statement that makes its text, if one is to be made, its name, what it is in the key, and
/// where it stands.
struct Part {
    text: Option<TokenStream>,
    name: String,
    value: TokenStream,
    span: Span,
}

/// An expression of the key of a call, a `KeyBuffer`.
pub(crate) fn of_call(subject: &Subject, settings: &Settings) -> TokenStream {
    let function = function(subject, settings);
    let parts: Vec<Part> = first_parts(subject, settings)
        .chain(subject.key_arguments().map(|argument| part(argument, settings)))
        .collect();
    let texts = parts.iter().filter_map(|part| part.text.as_ref());
    let given = parts.iter().map(argument);
    let defaults = settings.defaults.iter().map(|(name, value)| {
        let (text, value) = (name.unraw().to_string(), default_value(value));
        quote!(::dogpile::function::Argument::default_of(#text, &#value))
    });
    let arguments: Vec<TokenStream> = given.chain(defaults).collect();
    let count = arguments.len();
    let written = written(&parts, settings);
    own! {{
        #function
        #(#texts)*
        let arguments: [::dogpile::function::Argument<'_>; #count] = [#(#arguments),*];
        let call = ::dogpile::function::FunctionCall::new(&function, &arguments);
        ::dogpile::function::expansion::KeyBuffer::written(|key| { #written })
    }}
}

fn argument(Part { name, value, span, .. }: &Part) -> TokenStream {
    quote_spanned!(*span=> ::dogpile::function::Argument::new(#name, &#value))
}

/// Writes the key of `call` into `key`.
fn written(parts: &[Part], settings: &Settings) -> TokenStream {
    if let Some(generator) = &settings.key_generator {
        return own!((#generator)(&call, key));
    }
    let add = parts.iter().map(|Part { value, span, .. }| quote_spanned!(*span=> draft.add(&#value);));
    // As `default_key_generator` does, but with the types of the arguments.
    own! {
        let mut draft = ::dogpile::function::expansion::KeyDraft::new(&function, key);
        #(#add)*
        draft.finish(&call)
    }
}

/// The parts before the arguments: constants, and what `key_by` names.
fn first_parts<'a>(subject: &'a Subject, settings: &'a Settings) -> impl Iterator<Item = Part> + 'a {
    subject.const_parameters().map(constant).chain(settings.key_by.iter().enumerate().map(key_by))
}

/// An expression of `key_by`, which is evaluated once. `to_str` does not apply to it.
fn key_by((number, given): (usize, &Expr)) -> Part {
    let span = Span::mixed_site().located_at(given.span());
    let value = Ident::new(&format!("key_by_{number}"), span);
    let name = given.to_token_stream().to_string().replace(" . ", ".");
    Part { text: Some(quote_spanned!(span=> let #value = &#given;)), name, value: quote!(#value), span }
}

fn constant(name: &Ident) -> Part {
    Part { text: None, name: name.to_string(), value: quote!(#name), span: Span::mixed_site() }
}

fn part(argument: &Argument, settings: &Settings) -> Part {
    let (given, name) = (&argument.name, argument.name.unraw().to_string());
    let span = Span::mixed_site().located_at(argument.ty.span());
    match &settings.to_str {
        None => Part { text: None, name, value: quote!(#given), span },
        Some(to_str) => {
            let made = Ident::new(&format!("text_of_{name}"), Span::mixed_site());
            let text = quote!(let #made = ::dogpile::function::KeyText::new((#to_str)(&#given)););
            Part { text: Some(text), name, value: quote!(#made), span }
        }
    }
}

/// The default of a parameter that only Python has. A bare `None` has no type here.
fn default_value(value: &Expr) -> TokenStream {
    match value {
        Expr::Path(ExprPath { path, .. }) if path.is_ident("None") => {
            quote!(::core::option::Option::None::<&str>)
        }
        _ => quote!(#value),
    }
}

/// An expression of the keys, a `Vec<String>`, of the slice that `keys` is.
pub(crate) fn of_slice(subject: &Subject, settings: &Settings, keys: &Ident) -> TokenStream {
    let (function, text) = (function(subject, settings), keys.unraw().to_string());
    let generator = match &settings.key_generator {
        Some(generator) => quote!((#generator)),
        None => quote!(::dogpile::function::default_multi_key_generator),
    };
    let given = match &settings.to_str {
        None => own!(let given = #keys.iter();),
        Some(to_str) => own! {
            let texts: ::std::vec::Vec<::dogpile::function::KeyText> =
                #keys.iter().map(|key| ::dogpile::function::KeyText::new((#to_str)(key))).collect();
            let given = texts.iter();
        },
    };
    let parts: Vec<Part> = first_parts(subject, settings).collect();
    let (texts, shared) = (parts.iter().filter_map(|part| part.text.as_ref()), parts.iter().map(argument));
    let count = parts.len();
    own! {{
        #function
        #(#texts)*
        #given
        let shared: [::dogpile::function::Argument<'_>; #count] = [#(#shared),*];
        let arguments: ::std::vec::Vec<::dogpile::function::Argument<'_>> =
            given.map(|given| ::dogpile::function::Argument::new(#text, given)).collect();
        #generator(&::dogpile::function::FunctionCall::new(&function, &arguments).with_shared(&shared))
    }}
}

/// An expression of the `&CacheRegion`.
pub(crate) fn region(settings: &Settings) -> TokenStream {
    let region = &settings.region;
    let span = Span::mixed_site().located_at(region.span());
    // In a block, where whatever points to a region becomes a reference to it.
    quote_spanned!(span=> { let region: &::dogpile::CacheRegion = &#region; region })
}

/// An expression of the `CallOptions`.
pub(crate) fn options(settings: &Settings) -> Result<TokenStream> {
    let region = region(settings);
    let expiration = settings.expiration_time.as_ref().map(expiration::expand).transpose()?;
    let expiration = expiration.iter();
    Ok(quote!(#region.options()#(.expiration_time(#expiration))*))
}

/// An expression of the `FilteredCall`, which stores those values of type `value` that `should_cache_fn` accepts.
pub(crate) fn filtered_call(settings: &Settings, value: &syn::Type) -> Result<TokenStream> {
    let options = options(settings)?;
    Ok(match &settings.should_cache_fn {
        None => quote!(::dogpile::function::expansion::FilteredCall::all(#options)),
        Some(predicate) => {
            quote!(::dogpile::function::expansion::FilteredCall::only::<#value>(#options, #predicate))
        }
    })
}
