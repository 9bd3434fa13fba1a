//! Checks that a method states how its key depends on `self`.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Receiver, Result};

use crate::settings::Settings;

const UNSTATED: &str = "cannot cache this method: its key does not depend on `self`, so all objects would share one \
                        value; write `key_by(self.id)`, with what distinguishes the objects, or `ignore(self)` if the \
                        value does not depend on `self`";

const CONTRADICTORY: &str = "`self` is both in `key_by` and in `ignore`: the key cannot depend on it and ignore it; \
                             remove one of them";

const NO_RECEIVER: &str = "this function has no `self`: it is not a method; name its arguments instead, or add a \
                           `self` receiver";

/// Refuses contradictory settings, and a method whose key ignores `self` without stating it.
pub(crate) fn check(receiver: Option<&Receiver>, settings: &Settings) -> Result<()> {
    let ignored = settings.ignore.iter().find(|name| *name == "self");
    let used = settings.key_by.iter().find(|given| mentions(given.to_token_stream(), "self"));
    match (receiver, used, ignored) {
        (Some(receiver), None, None) => Err(Error::new_spanned(receiver, UNSTATED)),
        (Some(_), Some(_), Some(ignored)) => Err(Error::new(ignored.span(), CONTRADICTORY)),
        (None, Some(used), _) => Err(Error::new_spanned(used, NO_RECEIVER)),
        (None, None, Some(ignored)) => Err(Error::new(ignored.span(), NO_RECEIVER)),
        _ => Ok(()),
    }
}

/// Returns whether `tokens` contain the identifier `name`.
pub(crate) fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
