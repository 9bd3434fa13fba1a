//! How items look as lines.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Fields, ImplItem, Item, ItemEnum, ItemImpl, ItemStruct, ItemTrait, Signature, TraitItem,
    Visibility,
};

/// Returns an item's lines, each with the path of the item that it belongs to. The item is public in `path` as `name`.
pub(super) fn lines(item: &Item, name: Option<&str>, path: &str) -> Vec<(String, String)> {
    let Some(own) = self::name(item) else { return Vec::new() };
    let place = format!("{path}::{}", name.unwrap_or(&own));
    let lines = match item {
        Item::Struct(item) => of_struct(item, &place),
        Item::Enum(item) => of_enum(item, &place),
        Item::Trait(item) => of_trait(item, &place),
        Item::Fn(item) => vec![format!("{place}: {}", signature(&item.sig))],
        Item::Type(item) => {
            let (generics, meaning) = (spelled(&item.generics), spelled(&item.ty));
            vec![format!("{place}: type{generics} = {meaning}")]
        }
        Item::Const(item) => vec![format!("{place}: const {}", spelled(&item.ty))],
        Item::Static(item) => vec![format!("{place}: static {}", spelled(&item.ty))],
        _ => Vec::new(),
    };
    lines.into_iter().map(|line| (place.clone(), line)).collect()
}

fn of_struct(item: &ItemStruct, place: &str) -> Vec<String> {
    let mut lines = vec![format!("{place}: struct{}{}", bounds(&item.generics), derives(&item.attrs))];
    let mut private = false;
    for (index, field) in item.fields.iter().enumerate() {
        match &field.vis {
            Visibility::Public(_) => {
                let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
                lines.push(format!("{place}.{name}: {}", spelled(&field.ty)));
            }
            _ => private = true,
        }
    }
    if !private && !matches!(item.fields, Fields::Unit) {
        lines[0] += "  without private fields";
    }
    lines
}

fn of_enum(item: &ItemEnum, place: &str) -> Vec<String> {
    let mut lines = vec![format!("{place}: enum{}{}", bounds(&item.generics), derives(&item.attrs))];
    for variant in &item.variants {
        let conditions = of_attributes(&variant.attrs).join("  ");
        let mut variant = variant.clone();
        variant.attrs.clear();
        variant.fields.iter_mut().for_each(|field| field.attrs.clear());
        lines.push(format!("{place}::{} {conditions}", spelled(&variant)).trim_end().to_owned());
    }
    lines
}

fn of_trait(item: &ItemTrait, place: &str) -> Vec<String> {
    let above = &item.supertraits;
    let above = if above.is_empty() { String::new() } else { format!(": {}", spelled(above)) };
    let mut lines = vec![format!("{place}: trait{}{above}", bounds(&item.generics))];
    for member in &item.items {
        let (name, text, attributes) = match member {
            TraitItem::Fn(member) => {
                let default = if member.default.is_some() { " { .. }" } else { "" };
                (&member.sig.ident, format!("{}{default}", signature(&member.sig)), &member.attrs)
            }
            TraitItem::Const(member) => {
                (&member.ident, format!("const {}", spelled(&member.ty)), &member.attrs)
            }
            TraitItem::Type(member) => {
                let (generics, bounds) = (&member.generics, &member.bounds);
                (&member.ident, spelled(&quote!(type #generics: #bounds)), &member.attrs)
            }
            _ => continue,
        };
        let conditions: String =
            of_attributes(attributes).iter().map(|condition| format!("  {condition}")).collect();
        lines.push(format!("{place}::{name}: {text}{conditions}"));
    }
    lines
}

/// Returns a signature without its name.
fn signature(signature: &Signature) -> String {
    let Signature { constness, asyncness, safety, abi, generics, inputs, output, .. } = signature;
    let condition = &generics.where_clause;
    spelled(&quote!(#constness #asyncness #safety #abi fn #generics (#inputs) #output #condition))
}

fn bounds(generics: &syn::Generics) -> String {
    let condition = &generics.where_clause;
    let condition = if condition.is_some() { format!(" {}", spelled(condition)) } else { String::new() };
    format!("{}{condition}", spelled(generics))
}

/// Returns the derived traits, in order.
fn derives(attributes: &[Attribute]) -> String {
    let mut names = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let parsed = attribute.parse_nested_meta(|derived| {
            names.push(spelled(&derived.path));
            Ok(())
        });
        parsed.expect("a derive lists paths");
    }
    names.sort();
    if names.is_empty() { String::new() } else { format!("  derives {}", names.join(", ")) }
}

/// Returns the header of an `impl` block.
pub(super) fn impl_header(item: &ItemImpl) -> String {
    let mut header = item.clone();
    header.items.clear();
    header.attrs.clear();
    spelled(&header).trim_end_matches("{ }").trim_end().to_owned()
}

/// Returns the name and the text of a member of an `impl` block.
pub(super) fn member(member: &ImplItem) -> (String, String) {
    match member {
        ImplItem::Fn(member) => (member.sig.ident.to_string(), signature(&member.sig)),
        ImplItem::Const(member) => (member.ident.to_string(), format!("const {}", spelled(&member.ty))),
        ImplItem::Type(member) => (member.ident.to_string(), format!("type = {}", spelled(&member.ty))),
        _ => (String::new(), String::new()),
    }
}

/// Returns the patterns of a macro's arms.
pub(super) fn patterns(rules: TokenStream) -> Vec<String> {
    let (mut found, mut previous) = (Vec::new(), None);
    for token in rules {
        if let TokenTree::Punct(punct) = &token
            && punct.as_char() == '='
            && let Some(TokenTree::Group(group)) = &previous
        {
            found.push(format!("{{ {} }}", spelled(&group.stream())));
        }
        previous = Some(token);
    }
    found
}

/// Returns the name of an item, if it has one.
pub(super) fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Whether an item is public where it is, and documented.
pub(super) fn is_public(item: &Item) -> bool {
    let Some((visibility, attributes)) = parts(item) else { return false };
    matches!(visibility, Some(Visibility::Public(_))) && !is_hidden(attributes)
}

/// Whether `#[doc(hidden)]` is among the attributes.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| spelled(attribute) == "#[doc(hidden)]")
}

/// Returns the attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    parts(item).map_or(&[], |(_, attributes)| attributes)
}

/// Returns the conditions under which what has these attributes exists.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).map(spelled).collect()
}

/// Returns the attributes that belong to an interface.
pub(super) fn of_attributes(attributes: &[Attribute]) -> Vec<String> {
    let shown =
        ["cfg", "deprecated", "must_use", "non_exhaustive", "proc_macro_attribute", "proc_macro_derive"];
    let shown = |attribute: &&Attribute| shown.iter().any(|name| attribute.path().is_ident(name));
    attributes.iter().filter(shown).map(spelled).collect()
}

fn parts(item: &Item) -> Option<(Option<&Visibility>, &[Attribute])> {
    Some(match item {
        Item::Const(item) => (Some(&item.vis), &item.attrs),
        Item::Enum(item) => (Some(&item.vis), &item.attrs),
        Item::Fn(item) => (Some(&item.vis), &item.attrs),
        Item::Impl(item) => (None, &item.attrs),
        Item::Macro(item) => (None, &item.attrs),
        Item::Mod(item) => (Some(&item.vis), &item.attrs),
        Item::Static(item) => (Some(&item.vis), &item.attrs),
        Item::Struct(item) => (Some(&item.vis), &item.attrs),
        Item::Trait(item) => (Some(&item.vis), &item.attrs),
        Item::Type(item) => (Some(&item.vis), &item.attrs),
        Item::Union(item) => (Some(&item.vis), &item.attrs),
        Item::Use(item) => (Some(&item.vis), &item.attrs),
        _ => return None,
    })
}

/// Returns tokens as one line, with spaces where a reader expects them.
pub(super) fn spelled(tokens: &impl ToTokens) -> String {
    let mut words = Vec::new();
    split(tokens.to_token_stream(), &mut words);
    let mut spelled = String::new();
    let mut words = words.iter().map(String::as_str).peekable();
    let mut previous = "";
    while let Some(word) = words.next() {
        // A comma behind the last of a list is a matter of layout.
        if word == "," && previous != "(" && words.peek().is_none_or(|next| [")", ">"].contains(next)) {
            continue;
        }
        if !(previous.is_empty() || is_joined(previous, word)) {
            spelled.push(' ');
        }
        spelled.push_str(word);
        previous = word;
    }
    spelled
}

/// Splits tokens into words; punctuation of several characters is one word.
fn split(tokens: TokenStream, words: &mut Vec<String>) {
    let mut joint = false;
    for token in tokens {
        let joins = std::mem::take(&mut joint);
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                words.push(open.to_owned());
                split(group.stream(), words);
                words.push(close.to_owned());
            }
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                let last = words.last_mut().filter(|last| joins && !(last.ends_with('>') || sign == '<'));
                match last {
                    Some(last) => last.push(sign),
                    None => words.push(sign.to_string()),
                }
                joint = punct.spacing() == Spacing::Joint;
            }
            TokenTree::Ident(ident) if joins && words.last().is_some_and(|last| last.ends_with('\'')) => {
                words.last_mut().expect("there is a word").push_str(&ident.to_string());
            }
            token => words.push(token.to_string()),
        }
    }
}

/// Whether no space belongs between two words.
fn is_joined(left: &str, right: &str) -> bool {
    let keyword = ["as", "for", "in", "mut", "where"].contains(&left);
    let name = left.ends_with(|last: char| last.is_alphanumeric() || last == '_') || left == ">";
    match (left, right) {
        ("#" | "(" | "[" | "<" | "&" | "::" | "!" | "." | "?" | "$", _) => right != "{",
        (_, "," | ";" | ":" | "." | "?" | ")" | "]" | ">" | "::") => true,
        (_, "<" | "(") => name && !keyword,
        _ => false,
    }
}
