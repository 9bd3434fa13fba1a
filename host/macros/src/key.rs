//! The code that makes the key of a call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprPath, Lit};

use crate::arguments::Argument;
use crate::cached_fn::CachedFn;
use crate::settings::Settings;

/// Like `quote!`, with variables that no argument of the function can be mistaken for.
macro_rules! own {
    ($($tokens:tt)*) => { quote_spanned!(Span::mixed_site()=> $($tokens)*) };
}

/// Returns statements that leave the `Function` whose keys are made in the variable `function`.
fn function(cached: &CachedFn, settings: &Settings) -> TokenStream {
    let made = match (&settings.key_name, &settings.namespace) {
        (None, None) => constant_function(cached, settings),
        (name, namespace) if [name, namespace].into_iter().flatten().all(is_literal) => {
            constant_function(cached, settings)
        }
        _ => variable_function(cached, settings),
    };
    // A name that was given is complete, so that a method can share it with Python.
    let owner = settings.key_name.is_none().then(|| owner(cached));
    let types: Vec<&Ident> = cached.type_parameters().collect();
    let with_types = (!types.is_empty()).then(|| {
        own!(let types = [#(::core::any::type_name::<#types>()),*]; let function = function.with_types(&types);)
    });
    quote!(#made #owner #with_types)
}

/// Returns the `Function` with its name and namespace as a constant.
fn constant_function(cached: &CachedFn, settings: &Settings) -> TokenStream {
    let (name, namespace) = (constant_name(cached, settings), settings.namespace.iter());
    let version = version(settings);
    own! {
        let function = const {
            ::dogpile::function::Function::new(#name)#(.in_namespace(#namespace))*#version
        };
    }
}

/// Returns the `Function` with its name and namespace as strings that are evaluated at each call.
fn variable_function(cached: &CachedFn, settings: &Settings) -> TokenStream {
    let (namespace, version) = (settings.namespace.iter(), version(settings));
    let name = match &settings.key_name {
        Some(given) if !is_literal(given) => quote!(&#given),
        _ => constant_name(cached, settings),
    };
    own! {
        let name: &::core::primitive::str = #name;
        let function = ::dogpile::function::Function::new(name)#version;
        #(
            let namespace: &::core::primitive::str = &#namespace;
            let function = function.in_namespace(namespace);
        )*
    }
}

/// Returns the name of the function as a literal.
fn constant_name(cached: &CachedFn, settings: &Settings) -> TokenStream {
    let bare = cached.bare_name();
    let default_name = || quote!(::core::concat!(::core::module_path!(), ":", #bare));
    settings.key_name.as_ref().map_or_else(default_name, |given| quote!(#given))
}

/// Returns a call that gives the function its version, if it has one.
fn version(settings: &Settings) -> Option<TokenStream> {
    let version = settings.version?.to_string();
    Some(quote!(.with_version(#version)))
}

/// Returns statements that give `function` its owner, unless that is its module.
fn owner(cached: &CachedFn) -> TokenStream {
    let (place, bare) = (place(cached), cached.bare_name());
    if cached.is_method {
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
    let ident = &cached.item.sig.ident;
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

/// Returns the `Place` of the attribute. Within a macro, `line!` returns the line of its invocation, and the span has the line
/// within the macro. Both are the same for two functions if a macro invokes another one twice: hence the occurrence.
fn place(cached: &CachedFn) -> TokenStream {
    let occurrence = cached.occurrence;
    let written_at = Span::call_site().unwrap();
    let (line, column) = (written_at.line(), written_at.column());
    let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
    own! {
        ::dogpile::function::expansion::Place {
            at: (::core::line!(), ::core::column!()),
            written_at: (#line, #column),
            occurrence: #occurrence,
        }
    }
}

fn is_literal(given: &Expr) -> bool {
    matches!(given, Expr::Lit(ExprLit { lit: Lit::Str(_), .. }))
}

/// An argument of a key.
struct Part {
    /// A statement that makes the value, if there is one.
    statement: Option<TokenStream>,
    name: String,
    value: TokenStream,
    span: Span,
}

/// Returns an expression of the key of a call, a `KeyBuffer`.
pub(crate) fn of_call(cached: &CachedFn, settings: &Settings) -> TokenStream {
    let function = function(cached, settings);
    let parts: Vec<Part> = first_parts(cached, settings)
        .chain(cached.key_arguments().map(|argument| part(argument, settings)))
        .collect();
    let texts = parts.iter().filter_map(|part| part.statement.as_ref());
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

/// Returns statements that write the key of `call` into `key`.
fn written(parts: &[Part], settings: &Settings) -> TokenStream {
    if let Some(generator) = &settings.key_generator {
        return own!((#generator)(&call, key));
    }
    let add = parts.iter().map(|Part { value, span, .. }| quote_spanned!(*span=> draft.add(&#value);));
    // Like `default_key_generator`, but with the types of the arguments, which is faster.
    own! {
        let mut draft = ::dogpile::function::expansion::KeyDraft::new(&function, key);
        #(#add)*
        draft.finish(&call)
    }
}

/// Returns the parts before the arguments: generic constants, and the expressions of `key_by`.
fn first_parts<'a>(cached: &'a CachedFn, settings: &'a Settings) -> impl Iterator<Item = Part> + 'a {
    cached.const_parameters().map(constant).chain(settings.key_by.iter().enumerate().map(key_by))
}

/// Returns the part of an expression of `key_by`, which is evaluated once. `to_str` does not apply to it.
fn key_by((number, given): (usize, &Expr)) -> Part {
    let span = Span::mixed_site().located_at(given.span());
    let value = Ident::new(&format!("key_by_{number}"), span);
    let name = given.to_token_stream().to_string().replace(" . ", ".");
    Part { statement: Some(quote_spanned!(span=> let #value = &#given;)), name, value: quote!(#value), span }
}

fn constant(name: &Ident) -> Part {
    Part { statement: None, name: name.to_string(), value: quote!(#name), span: Span::mixed_site() }
}

fn part(argument: &Argument, settings: &Settings) -> Part {
    let (given, name) = (&argument.name, argument.name.unraw().to_string());
    let span = Span::mixed_site().located_at(argument.ty.span());
    match &settings.to_str {
        None => Part { statement: None, name, value: quote!(#given), span },
        Some(to_str) => {
            let made = Ident::new(&format!("text_of_{name}"), Span::mixed_site());
            let text = quote!(let #made = ::dogpile::function::KeyText::new((#to_str)(&#given)););
            Part { statement: Some(text), name, value: quote!(#made), span }
        }
    }
}

/// Returns the default of a parameter that only Python has. A bare `None` would have no type here.
fn default_value(value: &Expr) -> TokenStream {
    match value {
        Expr::Path(ExprPath { path, .. }) if path.is_ident("None") => {
            quote!(::core::option::Option::None::<&str>)
        }
        _ => quote!(#value),
    }
}

/// Returns an expression of the keys, a `Vec<String>`, for the items of the slice `keys`.
pub(crate) fn of_slice(cached: &CachedFn, settings: &Settings, keys: &Ident) -> TokenStream {
    let (function, text) = (function(cached, settings), keys.unraw().to_string());
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
    let parts: Vec<Part> = first_parts(cached, settings).collect();
    let (texts, shared) =
        (parts.iter().filter_map(|part| part.statement.as_ref()), parts.iter().map(argument));
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
