//! The expiration time of a function: a number is checked and made a duration when the program is compiled.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, Result, UnOp};

/// An expression of the `Expiration` that `given` is at the moment of a call.
pub(crate) fn expand(given: &Expr) -> Result<TokenStream> {
    let Some(seconds) = number(given)? else {
        let span = Span::mixed_site().located_at(given.span());
        return Ok(quote_spanned!(span=> ::dogpile::function::FunctionExpiration::now(&(#given))));
    };
    if seconds == -1.0 {
        return Ok(quote!(::dogpile::Expiration::Never));
    }
    let limit = Duration::try_from_secs_f64(seconds).map_err(|_| refused(given))?;
    let (seconds, nanos) = (limit.as_secs(), limit.subsec_nanos());
    Ok(quote!(::dogpile::Expiration::After(::core::time::Duration::new(#seconds, #nanos))))
}

/// The number, if it is a plain one.
fn number(given: &Expr) -> Result<Option<f64>> {
    match given {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Ok(number(expr)?.map(|number| -number)),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().map(Some),
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().map(Some),
        Expr::Lit(_) => Err(refused(given)),
        _ => Ok(None),
    }
}

fn refused(given: &Expr) -> Error {
    let problem = "this is no expiration time; give a number of seconds from 0 up, -1 for never, a `Duration`, an \
                   `Expiration`, or a function that answers one of these";
    Error::new_spanned(given, problem)
}
