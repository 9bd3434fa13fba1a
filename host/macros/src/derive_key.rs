//! The derive macro `CacheKey`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DataStruct, DeriveInput, Error, Expr, ExprLit, Field, Fields, Generics, Lit,
    LitStr, Meta, Result, Token, parse_quote,
};

/// Implements `CacheKey` for a struct or an enum.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let written = match &input.data {
        Data::Struct(data) => of_struct(&input, data)?,
        Data::Enum(data) => of_enum(&input, data)?,
        Data::Union(data) => {
            let problem = "cannot derive `CacheKey` for a union: its valid field is unknown; implement the trait by hand";
            return Err(Error::new(data.union_token.span, problem));
        }
    };
    Ok(written.implementation(&input))
}

/// The bodies of the trait's methods.
struct Written {
    write: TokenStream,
    shape: TokenStream,
    shape_of_type: TokenStream,
    /// The types of the fields that are part of the key.
    types: Vec<TokenStream>,
}

impl Written {
    /// A text whose shape, the name of a `KeyShape`, is known.
    fn shaped(write: TokenStream, shape: &str, types: Vec<TokenStream>) -> Self {
        let shape = format_ident!("{shape}");
        let shape = quote!(::dogpile::function::expansion::KeyShape::#shape);
        Written { write, shape: shape.clone(), shape_of_type: shape, types }
    }

    fn implementation(self, input: &DeriveInput) -> TokenStream {
        let Written { write, shape, shape_of_type, types } = self;
        let (name, generics) = (&input.ident, bounded(&input.generics, &types));
        let (parameters, arguments, bounds) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            #[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            impl #parameters ::dogpile::function::CacheKey for #name #arguments #bounds {
                fn write(&self, key: &mut ::std::string::String, form: ::dogpile::function::KeyForm) {
                    #write
                }

                fn shape(&self, form: ::dogpile::function::KeyForm) -> ::dogpile::function::expansion::KeyShape {
                    let _ = form;
                    #shape
                }

                fn shape_of_type(
                    form: ::dogpile::function::KeyForm,
                ) -> ::dogpile::function::expansion::KeyShape {
                    let _ = form;
                    #shape_of_type
                }
            }
        }
    }
}

/// Adds the bound `CacheKey` to each generic type that is part of the key.
fn bounded(generics: &Generics, types: &[TokenStream]) -> Generics {
    let mut bounded = generics.clone();
    for parameter in bounded.type_params_mut() {
        if types.iter().any(|ty| mentions(ty, &parameter.ident)) {
            parameter.bounds.push(parse_quote!(::dogpile::function::CacheKey));
        }
    }
    bounded
}

/// Returns whether `name` occurs in `tokens`.
fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

fn of_struct(input: &DeriveInput, data: &DataStruct) -> Result<Written> {
    let settings = TypeSettings::read(&input.attrs)?;
    let fields = KeyField::read(&data.fields)?;
    let kept: Vec<&KeyField<'_>> = fields.iter().filter(|field| !field.is_skipped).collect();
    let is_newtype = matches!(data.fields, Fields::Unnamed(_)) && kept.len() == 1 && settings.name.is_none();
    match (&settings.transparent, &kept[..]) {
        (None, [field]) if is_newtype => Ok(transparent(field)),
        (Some(_), [field]) => Ok(transparent(field)),
        (Some(span), _) => {
            let problem = format!(
                "`transparent` needs exactly one field that is part of the key, and there are {}; mark the others with \
                 `#[cache_key(skip)]`, or remove `transparent`",
                kept.len()
            );
            Err(Error::new_spanned(span, problem))
        }
        (None, _) => {
            let name = settings.name_of(&input.ident);
            let (pattern, write) = (pattern(&data.fields, &fields), fields_of(&name, &kept));
            let write = quote!(let Self #pattern = self; #write);
            Ok(Written::shaped(write, "Enclosed", types_of(&kept)))
        }
    }
}

/// A text like that of the only field.
fn transparent(field: &KeyField<'_>) -> Written {
    let (member, ty) = (&field.member, &field.field.ty);
    Written {
        write: quote!(::dogpile::function::CacheKey::write(&self.#member, key, form)),
        shape: quote!(::dogpile::function::CacheKey::shape(&self.#member, form)),
        shape_of_type: quote!(<#ty as ::dogpile::function::CacheKey>::shape_of_type(form)),
        types: vec![quote!(#ty)],
    }
}

fn of_enum(input: &DeriveInput, data: &DataEnum) -> Result<Written> {
    let settings = TypeSettings::read(&input.attrs)?;
    if let Some(span) = &settings.transparent {
        let problem =
            "`transparent` is for structs: the text of an enum includes the variant; remove `transparent`";
        return Err(Error::new_spanned(span, problem));
    }
    let (name, mut arms, mut types) = (settings.name_of(&input.ident), Vec::new(), Vec::new());
    for variant in &data.variants {
        refuse_settings(&variant.attrs)?;
        let (fields, ident) = (KeyField::read(&variant.fields)?, &variant.ident);
        let kept: Vec<&KeyField<'_>> = fields.iter().filter(|field| !field.is_skipped).collect();
        let (text, pattern) = (format!("{name}.{}", ident.unraw()), pattern(&variant.fields, &fields));
        let write = match &variant.fields {
            Fields::Unit => quote!(key.push_str(#text)),
            _ => fields_of(&text, &kept),
        };
        arms.push(quote!(Self::#ident #pattern => { #write }));
        types.extend(types_of(&kept));
    }
    let is_plain = data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    let write = if arms.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#arms)* }) };
    Ok(Written::shaped(write, if is_plain { "Word" } else { "Enclosed" }, types))
}

/// Returns the statements that write `name` and the fields, which are bound to their variables.
fn fields_of(name: &str, kept: &[&KeyField<'_>]) -> TokenStream {
    let add = kept.iter().map(|field| {
        let variable = &field.variable;
        match &field.field.ident {
            Some(ident) => {
                let text = ident.unraw().to_string();
                quote!(fields.add_named(#text, #variable);)
            }
            None => quote!(fields.add(#variable);),
        }
    });
    quote! {
        #[allow(unused_mut)]
        let mut fields = ::dogpile::function::expansion::KeyFields::new(#name, key, form);
        #(#add)*
        fields.finish();
    }
}

/// Returns the pattern that binds the fields that are part of the key.
fn pattern(all: &Fields, fields: &[KeyField<'_>]) -> TokenStream {
    let parts = fields.iter().filter(|field| !field.is_skipped).map(|field| {
        let (member, variable) = (&field.member, &field.variable);
        quote!(#member: #variable,)
    });
    match all {
        Fields::Unit => TokenStream::new(),
        _ => quote!({ #(#parts)* .. }),
    }
}

fn types_of(kept: &[&KeyField<'_>]) -> Vec<TokenStream> {
    kept.iter().map(|KeyField { field: Field { ty, .. }, .. }| quote!(#ty)).collect()
}

/// A field of a struct or variant.
struct KeyField<'a> {
    field: &'a Field,
    member: syn::Member,
    /// The variable that it is bound to.
    variable: Ident,
    is_skipped: bool,
}

impl<'a> KeyField<'a> {
    fn read(fields: &'a Fields) -> Result<Vec<Self>> {
        let members = fields.members().enumerate();
        let read = fields.iter().zip(members).map(|(field, (number, member))| {
            // An error about the type points at the field.
            let span = Span::call_site().located_at(field.ty.span());
            let variable = format_ident!("field_{number}", span = span);
            Ok(KeyField { field, member, variable, is_skipped: is_skipped(&field.attrs)? })
        });
        read.collect()
    }
}

fn is_skipped(attributes: &[Attribute]) -> Result<bool> {
    let mut is_skipped = false;
    for setting in settings(attributes)? {
        match &setting {
            Meta::Path(path) if path.is_ident("skip") => is_skipped = true,
            _ => {
                return Err(unknown(&setting, "a field has the setting `skip` only"));
            }
        }
    }
    Ok(is_skipped)
}

fn refuse_settings(attributes: &[Attribute]) -> Result<()> {
    match settings(attributes)?.first() {
        None => Ok(()),
        Some(setting) => Err(unknown(setting, "a variant has no settings; its fields have `skip`")),
    }
}

/// The settings of a type.
#[derive(Default)]
struct TypeSettings {
    /// Where `transparent` is written.
    transparent: Option<Meta>,
    name: Option<String>,
}

impl TypeSettings {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = TypeSettings::default();
        for setting in settings(attributes)? {
            match &setting {
                Meta::Path(path) if path.is_ident("transparent") => read.transparent = Some(setting),
                Meta::NameValue(given) if given.path.is_ident("name") => {
                    read.name = Some(name(&given.value)?);
                }
                _ => {
                    return Err(unknown(
                        &setting,
                        "a type has the settings `transparent` and `name = \"...\"`",
                    ));
                }
            }
        }
        match &read.transparent {
            Some(span) if read.name.is_some() => {
                let problem = "`transparent` and `name` exclude each other: a transparent struct is written without a \
                               name; remove one of them";
                Err(Error::new_spanned(span, problem))
            }
            _ => Ok(read),
        }
    }

    fn name_of(&self, ident: &Ident) -> String {
        self.name.clone().unwrap_or_else(|| ident.unraw().to_string())
    }
}

/// Reads the name of a type, in which a reader of a key must find the end.
fn name(value: &Expr) -> Result<String> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value else {
        return Err(Error::new_spanned(value, "a name is a string literal, such as `name = \"User\"`"));
    };
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    if text.value().split('.').all(is_name) { Ok(text.value()) } else { Err(not_a_name(text)) }
}

fn not_a_name(text: &LitStr) -> Error {
    let problem = format!(
        "invalid name {:?}: expected letters, digits, and `_`, in one or more parts with dots between them",
        text.value()
    );
    Error::new_spanned(text, problem)
}

/// Returns the contents of `#[cache_key(...)]`.
fn settings(attributes: &[Attribute]) -> Result<Vec<Meta>> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cache_key")) {
        all.extend(attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?);
    }
    Ok(all)
}

fn unknown(setting: &Meta, known: &str) -> Error {
    let name = setting.path().get_ident().map_or_else(|| "this".to_owned(), |name| format!("`{name}`"));
    Error::new_spanned(setting, format!("unknown setting {name} of `cache_key` here: {known}"))
}
