//! Explains errors from the block around a function, which an attribute macro does not see.
//!
//! The companions of a function in an `impl` are methods, and a trait cannot have them. The compiler would report one
//! error per companion. This module reads the source file instead, and looks for the function there. It can only make
//! an error clearer: it reports one only if every function of the file with the same text is in a wrong place, and
//! nothing if it cannot read the file. It also finds the generic parameters of an `impl`, so that a return type that
//! contains one is not mistaken for an alias.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::{Error, FnArg, ItemFn, Result, Visibility};

use crate::settings::Settings;

const IN_TRAIT_IMPL: &str = "cannot cache a method of a trait: its companions, such as `_get`, cannot be part of the trait; \
                             cache a method of the type in an `impl` of its own, and call it here";

const IN_TRAIT: &str = "cannot cache a provided method of a trait: its companions, such as `_get`, would be part of the \
                        trait; cache a function outside of the trait, and call it here";

const NOT_ASSOCIATED: &str = "cannot cache this function: it is in an `impl` and has no `self`; add `associated` to the \
                              attribute, so that its companions are methods";

/// The kind of the block that contains a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// A module or the body of a function.
    Items,
    Impl,
    TraitImpl,
    Trait,
}

/// Refuses a function in a block where its companions cannot be.
pub(crate) fn check(item: &ItemFn, function: TokenStream, settings: &Settings) -> Result<()> {
    let has_self = matches!(item.sig.inputs.first(), Some(FnArg::Receiver(_)));
    let is_method = has_self || settings.is_associated;
    // Methods of traits have no visibility, and a function in a block is indented.
    let may_be_wrong = if is_method { matches!(item.vis, Visibility::Inherited) } else { is_indented() };
    let problem = match may_be_wrong.then(|| block_of(function)).flatten() {
        Some(Block::TraitImpl) => IN_TRAIT_IMPL,
        Some(Block::Trait) => IN_TRAIT,
        Some(Block::Impl) if !is_method => NOT_ASSOCIATED,
        _ => return Ok(()),
    };
    Err(Error::new(item.sig.ident.span(), problem))
}

fn is_indented() -> bool {
    Span::call_site().unwrap().column() > 1
}

/// Returns the names in the generic parameters of the `impl` that contains `function`, as far as they can be found.
pub(crate) fn generics_of_impl(function: TokenStream) -> Vec<String> {
    found_blocks(function).unwrap_or_default().into_iter().flat_map(|found| found.generics).collect()
}

/// Returns the block that contains `function`, if all functions of the file with its text are in blocks of one kind.
fn block_of(function: TokenStream) -> Option<Block> {
    let found = found_blocks(function)?;
    let first = found.first()?.block;
    found.iter().all(|other| other.block == first).then_some(first)
}

/// A block that contains a function with the wanted text.
#[derive(Clone)]
struct Found {
    block: Block,
    /// The names in the generic parameters of an `impl`.
    generics: Vec<String>,
}

/// Returns the blocks of the source file that contain a cached function with the text of `function`.
fn found_blocks(function: TokenStream) -> Option<Vec<Found>> {
    let wanted = text_of_function(function.into_iter())?;
    let file = std::fs::read_to_string(Span::call_site().unwrap().local_file()?).ok()?;
    let mut found = Vec::new();
    collect(TokenStream::from_str(&file).ok()?, &head(&[]), &wanted, &mut found);
    Some(found)
}

/// Reads the tokens before a block.
fn head(tokens: &[TokenTree]) -> Found {
    Found { block: kind_of(tokens), generics: generics(tokens) }
}

/// Returns the names between the angle brackets after `impl`.
fn generics(head: &[TokenTree]) -> Vec<String> {
    let (mut depth, mut names) = (0_usize, Vec::new());
    for token in head.iter().skip_while(|token| !is_ident(token, "impl")).skip(1) {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth = depth.saturating_sub(1),
            TokenTree::Ident(name) if depth > 0 => names.push(name.to_string()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Adds each block within `tokens` that contains the function `wanted` after an attribute.
fn collect(tokens: TokenStream, block: &Found, wanted: &str, found: &mut Vec<Found>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut begin = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if is_cache_attribute(group) => {
                let text = text_of_function(tokens[at + 1..].iter().cloned());
                found.extend((text.as_deref() == Some(wanted)).then(|| block.clone()));
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                collect(group.stream(), &head(&tokens[begin..at]), wanted, found);
                begin = at + 1;
            }
            TokenTree::Group(group) => collect(group.stream(), &head(&[]), wanted, found),
            TokenTree::Punct(punct) if punct.as_char() == ';' => begin = at + 1,
            _ => {}
        }
    }
}

/// Returns whether `group` is what follows the `#` of one of the two attributes.
fn is_cache_attribute(group: &Group) -> bool {
    let is_name = |token: TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "cache_on_arguments" || ident == "cache_multi_on_arguments");
    let is_path = |token: &TokenTree| matches!(token, TokenTree::Ident(_) | TokenTree::Punct(_));
    group.delimiter() == Delimiter::Bracket && group.stream().into_iter().take_while(is_path).any(is_name)
}

/// Returns the kind of a block from the tokens before it.
fn kind_of(header: &[TokenTree]) -> Block {
    let position = |name| header.iter().position(|token| is_ident(token, name));
    if position("fn").is_some() {
        return Block::Items;
    }
    match (position("impl"), position("trait")) {
        (Some(begin), _) if implements_trait(&header[begin..]) => Block::TraitImpl,
        (Some(_), _) => Block::Impl,
        (None, Some(_)) => Block::Trait,
        (None, None) => Block::Items,
    }
}

/// Returns whether the head of an `impl` contains a `for` other than that of `for<'a>`.
fn implements_trait(header: &[TokenTree]) -> bool {
    let is_angle = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '<');
    header.windows(2).any(|pair| is_ident(&pair[0], "for") && !is_angle(&pair[1]))
}

/// Returns the text of a function from `fn` to the end of its body, without whitespace.
fn text_of_function(tokens: impl Iterator<Item = TokenTree>) -> Option<String> {
    let mut text = String::new();
    for token in tokens.skip_while(|token| !is_ident(token, "fn")) {
        text.extend(token.to_string().chars().filter(|character| !character.is_whitespace()));
        if matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace) {
            return Some(text);
        }
    }
    None
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}
