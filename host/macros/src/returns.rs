//! [`Returns`]: the return type of a function, and which part of it is cached.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    Error, GenericArgument, GenericParam, ItemFn, Lifetime, PathArguments, Result, ReturnType, Type,
    TypeImplTrait, TypePath, TypeReference,
};

use crate::surroundings;

const NOTHING: &str = "cannot cache a function that returns nothing; return the value that is cached";

const NEVER: &str = "cannot cache a function that never returns; return the value that is cached";

const REFERENCE: &str =
    "cannot cache a reference: a cached value is owned; return a `String`, a `Vec`, or an `Arc`";

const UNNAMED: &str = "cannot cache an unnamed type, because the value is read again later; write its name";

const FUTURE: &str = "cannot cache a future; write the function as `async fn`, whose value is cached";

/// Types that are not a `Result`, under names that are hardly ever used for other types.
const PLAIN: &[&str] = &[
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f32", "f64", "String", "Vec", "Option", "Box", "Arc", "Rc", "HashMap", "BTreeMap", "HashSet",
    "BTreeSet", "VecDeque", "Duration", "InMemory",
];

/// The return type of a function.
pub(crate) struct Returns {
    written: Type,
    outcome: Outcome,
    /// The type of the value and that of the error, as far as they are written out.
    value: Option<Type>,
    error: Option<Type>,
}

/// Whether the function returns a `Result`.
enum Outcome {
    Sure,
    Fallible,
    /// The compiler decides, because the name may be an alias.
    ByType,
}

impl Returns {
    /// Reads the return type of a function, and refuses one that cannot be cached.
    pub(crate) fn read(item: &ItemFn, is_method: bool, function: TokenStream) -> Result<Self> {
        let ReturnType::Type(_, written) = &item.sig.output else {
            return Err(Error::new(item.sig.ident.span(), NOTHING));
        };
        let written = (**written).clone();
        let problem = match &written {
            Type::Reference(_) => REFERENCE,
            Type::ImplTrait(unnamed) if is_future(unnamed) => FUTURE,
            Type::ImplTrait(_) => UNNAMED,
            Type::Never(_) => NEVER,
            _ => return Ok(Returns::of(written, item, is_method.then_some(function))),
        };
        Err(Error::new_spanned(written, problem))
    }

    fn of(written: Type, item: &ItemFn, method: Option<TokenStream>) -> Self {
        if let Some([value, error]) = generics_of(&written, &["Result"]).as_deref() {
            let (value, error) = (Some((*value).clone()), Some((*error).clone()));
            return Returns { written, outcome: Outcome::Fallible, value, error };
        }
        let outcome = if is_plain(&written) {
            Outcome::Sure
        } else if !may_be_generic(&written, item, method) {
            Outcome::ByType
        } else if generics_of(&written, &["Result"]).is_some() {
            Outcome::Fallible
        } else {
            Outcome::Sure
        };
        let value = matches!(outcome, Outcome::Sure).then(|| written.clone());
        Returns { written, outcome, value, error: None }
    }

    /// Returns the span of the value's type, where the compiler reports traits that the type does not implement.
    pub(crate) fn span(&self) -> Span {
        Span::mixed_site().located_at(self.value.as_ref().unwrap_or(&self.written).span())
    }

    /// Returns `tokens` at the place of the value's type. The compiler reports one error only once at one place.
    pub(crate) fn located(&self, tokens: TokenStream) -> TokenStream {
        located(tokens, self.span())
    }

    /// Returns the whole return type.
    pub(crate) fn written(&self) -> TokenStream {
        self.located(self.written.to_token_stream())
    }

    /// Returns the type that implements `dogpile::function::Fallibility` for the return type.
    pub(crate) fn outcome(&self) -> TokenStream {
        let (written, span) = (self.written(), self.span());
        match self.outcome {
            Outcome::Sure => quote_spanned!(span=> ::dogpile::function::Sure),
            Outcome::Fallible => quote_spanned!(span=> ::dogpile::function::Fallible),
            Outcome::ByType => quote_spanned! {span=>
                <::dogpile::function::expansion::Recognized<{
                    use ::dogpile::function::expansion::NotAResult as _;
                    ::dogpile::function::expansion::Probe::<#written>::IS_RESULT
                }> as ::dogpile::function::expansion::Recognition>::Fallibility
            },
        }
    }

    /// Returns the type of the value that is cached.
    pub(crate) fn value(&self) -> TokenStream {
        self.value.as_ref().map_or_else(|| self.projection("Value"), ToTokens::to_token_stream)
    }

    /// Returns the type of the value, if it is written out.
    pub(crate) fn written_value(&self) -> Option<&Type> {
        self.value.as_ref()
    }

    /// Returns the type of the errors of `refresh`.
    pub(crate) fn failure(&self) -> TokenStream {
        match (&self.outcome, &self.error) {
            (Outcome::Sure, _) => quote!(::dogpile::RegionError),
            (_, Some(error)) => quote!(::dogpile::CreateError<#error>),
            (_, None) => self.projection("Failure"),
        }
    }

    /// Returns a statement that does not compile if an alias was mistaken for a type that is not a `Result`.
    pub(crate) fn check(&self) -> Option<TokenStream> {
        let written = self.written();
        matches!(self.outcome, Outcome::Sure).then(|| {
            quote_spanned! {self.span()=>
                {
                    use ::dogpile::function::expansion::NotAResult as _;
                    ::dogpile::function::expansion::Probe::<#written>::is_not_a_result();
                }
            }
        })
    }

    fn projection(&self, name: &str) -> TokenStream {
        let (written, outcome, name) = (&self.written, self.outcome(), Ident::new(name, self.span()));
        quote_spanned!(self.span()=> <#outcome as ::dogpile::function::Fallibility<#written>>::#name)
    }
}

fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let at_span = |token: TokenTree| {
        let mut token = match token {
            TokenTree::Group(group) => Group::new(group.delimiter(), located(group.stream(), span)).into(),
            other => other,
        };
        token.set_span(span);
        token
    };
    tokens.into_iter().map(at_span).collect()
}

/// Returns the generic types of `ty`, if it is a path to one of `names`.
pub(crate) fn generics_of<'t>(ty: &'t Type, names: &[&str]) -> Option<Vec<&'t Type>> {
    let Type::Path(TypePath { path, .. }) = ty else { return None };
    let last = path.segments.last().filter(|last| names.iter().any(|name| last.ident == name))?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(Vec::new()) };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some(types.collect())
}

/// Returns whether `ty` has a form or a name that a `Result` does not have.
pub(crate) fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Path(TypePath { qself: Some(_), .. }) => false,
        Type::Path(TypePath { path, .. }) => {
            path.segments.last().is_some_and(|last| PLAIN.iter().any(|name| last.ident == name))
        }
        Type::Paren(inner) => is_plain(&inner.elem),
        Type::Group(inner) => is_plain(&inner.elem),
        Type::Macro(_) => false,
        _ => true,
    }
}

fn is_future(unnamed: &TypeImplTrait) -> bool {
    let is_future = |token| matches!(token, TokenTree::Ident(ident) if ident == "Future");
    unnamed.bounds.to_token_stream().into_iter().any(is_future)
}

/// Returns whether `ty` may contain a generic parameter. Types that do cannot be part of a constant in a signature.
///
/// The parameters of the `impl` of a `method` are known if its source file can be read. Names of one letter, such as `T`,
/// count as such in any case.
fn may_be_generic(ty: &Type, item: &ItemFn, method: Option<TokenStream>) -> bool {
    let parameters = item.sig.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
        GenericParam::Const(parameter) => Some(parameter.ident.to_string()),
        _ => None,
    });
    let is_method = method.is_some();
    let of_impl = method.map(surroundings::generics_of_impl).unwrap_or_default();
    let mut generic = Generic { parameters: parameters.chain(of_impl).collect(), is_method, is_found: false };
    generic.visit_type_mut(&mut ty.clone());
    generic.is_found
}

struct Generic {
    parameters: Vec<String>,
    is_method: bool,
    is_found: bool,
}

impl VisitMut for Generic {
    fn visit_ident_mut(&mut self, ident: &mut Ident) {
        let name = ident.to_string();
        let of_impl = self.is_method && (name == "Self" || is_one_letter(&name));
        self.is_found |= of_impl || self.parameters.contains(&name);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        self.is_found |= lifetime.ident != "static";
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        self.is_found |= reference.lifetime.is_none();
        syn::visit_mut::visit_type_reference_mut(self, reference);
    }
}

/// Returns whether `name` is a capital letter, perhaps followed by a digit.
fn is_one_letter(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(char::is_uppercase)
        && characters.next().is_none_or(|second| second.is_ascii_digit())
        && characters.next().is_none()
}
