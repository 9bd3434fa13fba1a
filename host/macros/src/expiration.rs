//! The expiration time of a function. A literal is checked and converted when the program is compiled.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprGroup, ExprLit, ExprUnary, Lit, Result, UnOp};

use crate::duration;

const INVALID: &str = "invalid expiration time: expected seconds (0 or more), a duration such as \"5m\", -1 for never, a \
                       `Duration`, an `Expiration`, or a function that returns one of these";

/// Returns an expression of the `Expiration` of a call.
pub(crate) fn expand(given: &Expr) -> Result<TokenStream> {
    match literal(given) {
        None => {
            let span = Span::mixed_site().located_at(given.span());
            Ok(quote_spanned!(span=> ::dogpile::function::FunctionExpiration::now(&(#given))))
        }
        Some(Literal::Never) => Ok(quote!(::dogpile::Expiration::Never)),
        Some(Literal::After(limit)) => {
            let (seconds, nanos) = (limit.as_secs(), limit.subsec_nanos());
            Ok(quote!(::dogpile::Expiration::After(::core::time::Duration::new(#seconds, #nanos))))
        }
        Some(Literal::Invalid) => Err(Error::new_spanned(given, INVALID)),
    }
}

/// An expiration time that is written as a literal.
enum Literal {
    After(Duration),
    Never,
    Invalid,
}

/// Returns `None` for an expression that is not a literal.
fn literal(given: &Expr) -> Option<Literal> {
    match given {
        Expr::Group(ExprGroup { expr, .. }) => literal(expr),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| seconds(-number)),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(duration_or_never(text.value().trim())),
        Expr::Lit(_) => Some(number(given).map_or(Literal::Invalid, seconds)),
        _ => None,
    }
}

/// Reads a string like a configuration does.
fn duration_or_never(text: &str) -> Literal {
    match text.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => duration::parse(text).map_or(Literal::Invalid, Literal::After),
    }
}

fn number(given: &Expr) -> Option<f64> {
    match given {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().ok(),
        _ => None,
    }
}

fn seconds(number: f64) -> Literal {
    if number == -1.0 {
        return Literal::Never;
    }
    Duration::try_from_secs_f64(number).map_or(Literal::Invalid, Literal::After)
}
