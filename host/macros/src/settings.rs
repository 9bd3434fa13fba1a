//! [`Settings`]: the settings in the attribute's parentheses.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprClosure, ExprLit, Lit, Result, Token, parenthesized};

/// The settings in the attribute's parentheses.
#[derive(Default)]
pub(crate) struct Settings {
    /// `Some` once the settings have been read.
    pub(crate) region: Option<Expr>,
    pub(crate) key_name: Option<Expr>,
    pub(crate) namespace: Option<Expr>,
    pub(crate) expiration_time: Option<Expr>,
    pub(crate) should_cache_fn: Option<Expr>,
    pub(crate) to_str: Option<Expr>,
    pub(crate) key_generator: Option<Expr>,
    pub(crate) ignore: Vec<Ident>,
    /// The expressions that are the first arguments in a key.
    pub(crate) key_by: Vec<Expr>,
    pub(crate) defaults: Vec<(Ident, Expr)>,
    /// The version of the cached values.
    pub(crate) version: Option<u64>,
    /// Whether the function takes and returns many values.
    pub(crate) is_multi: bool,
    /// Where `background` and `detach` are written.
    pub(crate) background: Option<Span>,
    pub(crate) detach: Option<Span>,
    pub(crate) is_associated: bool,
    pub(crate) is_asdict: bool,
}

/// The settings of `cache_on_arguments`.
pub(crate) const SINGLE: &[&str] = &[
    "region",
    "namespace",
    "expiration_time",
    "should_cache_fn",
    "to_str",
    "function_key_generator",
    "key_by",
    "ignore",
    "defaults",
    "key_name",
    "version",
    "background",
    "detach",
    "associated",
];

/// The settings of `cache_multi_on_arguments`.
pub(crate) const MULTI: &[&str] = &[
    "region",
    "namespace",
    "expiration_time",
    "should_cache_fn",
    "to_str",
    "function_multi_key_generator",
    "key_by",
    "ignore",
    "key_name",
    "version",
    "background",
    "detach",
    "asdict",
    "associated",
];

const NO_REGION: &str = "the region is missing: write `region = REGION`, with a static or an expression";

const ASYNC_CLOSURE: &str =
    "is called without waiting, also by an `async fn`; remove `async` from the closure";

/// One setting: `name`, `name = value` or `name(list)`.
struct Setting {
    name: Ident,
    value: Value,
}

enum Value {
    Absent,
    One(Expr),
    List(TokenStream),
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() {
            Value::One(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let list;
            parenthesized!(list in input);
            Value::List(list.parse()?)
        } else {
            Value::Absent
        };
        Ok(Setting { name, value })
    }
}

/// One entry of `ignore(...)`.
struct Name(Ident);

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        input.call(Ident::parse_any).map(Name)
    }
}

/// One entry of `defaults(...)`.
struct DefaultArgument {
    name: Ident,
    value: Expr,
}

impl Parse for DefaultArgument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        Ok(DefaultArgument { name, value: input.parse()? })
    }
}

impl Setting {
    fn error(&self, problem: &str) -> Error {
        Error::new(self.name.span(), format!("`{}` {problem}", self.name))
    }

    fn one(self) -> Result<Expr> {
        match self.value {
            Value::One(Expr::Closure(ExprClosure { asyncness: Some(_), .. })) => {
                Err(self.error(ASYNC_CLOSURE))
            }
            Value::One(value) => Ok(value),
            _ => Err(self.error(&format!("needs a value: write `{} = ...`", self.name))),
        }
    }

    fn version(self) -> Result<u64> {
        let problem = self.error("needs a whole number: write `version = 2`");
        match self.one()? {
            Expr::Lit(ExprLit { lit: Lit::Int(version), .. }) => version.base10_parse().map_err(|_| problem),
            _ => Err(problem),
        }
    }

    fn flag(self) -> Result<bool> {
        match self.value {
            Value::Absent => Ok(true),
            _ => Err(self.error("takes no value: write the name alone, or leave it out")),
        }
    }

    /// Returns where a flag is written.
    fn place(self) -> Result<Span> {
        let span = self.name.span();
        self.flag().map(|_| span)
    }

    fn list<T: Parse>(self, example: &str) -> Result<Vec<T>> {
        match self.value {
            Value::List(list) => {
                let list = Punctuated::<T, Token![,]>::parse_terminated.parse2(list)?;
                Ok(list.into_iter().collect())
            }
            _ => Err(self.error(&format!("needs a list: write `{}({example})`", self.name))),
        }
    }
}

impl Settings {
    /// Reads settings whose names are among `known`.
    pub(crate) fn read(tokens: TokenStream, known: &[&str]) -> Result<Self> {
        let given = Punctuated::<Setting, Token![,]>::parse_terminated.parse2(tokens)?;
        let (mut settings, mut names) = (Settings::default(), Vec::new());
        for setting in given {
            let name = setting.name.to_string();
            if !known.contains(&name.as_str()) {
                return Err(setting.error(&format!("is not a setting: expected one of {}", known.join(", "))));
            }
            if names.contains(&name) {
                return Err(setting.error("is set twice: remove one of them"));
            }
            settings.take(&name, setting)?;
            names.push(name);
        }
        if settings.region.is_none() {
            return Err(Error::new(Span::call_site(), NO_REGION));
        }
        Ok(settings)
    }

    fn take(&mut self, name: &str, setting: Setting) -> Result<()> {
        match name {
            "region" => self.region = Some(setting.one()?),
            "key_name" => self.key_name = Some(setting.one()?),
            "namespace" => self.namespace = Some(setting.one()?),
            "expiration_time" => self.expiration_time = Some(setting.one()?),
            "should_cache_fn" => self.should_cache_fn = Some(setting.one()?),
            "to_str" => self.to_str = Some(setting.one()?),
            "function_key_generator" | "function_multi_key_generator" => {
                self.key_generator = Some(setting.one()?);
            }
            "ignore" => {
                let ignored = setting.list::<Name>("argument, ...")?;
                self.ignore = ignored.into_iter().map(|Name(name)| name).collect();
            }
            "key_by" => self.key_by = setting.list::<Expr>("self.id, ...")?,
            "defaults" => {
                let defaults = setting.list::<DefaultArgument>("argument = value, ...")?;
                self.defaults = defaults.into_iter().map(|default| (default.name, default.value)).collect();
            }
            "version" => self.version = Some(setting.version()?),
            "background" => self.background = Some(setting.place()?),
            "detach" => self.detach = Some(setting.place()?),
            "asdict" => self.is_asdict = setting.flag()?,
            _ => self.is_associated = setting.flag()?,
        }
        Ok(())
    }
}
