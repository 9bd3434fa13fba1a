//! The public interface of a crate, as lines of text that can be compared.
//!
//! It is read from the sources, without a compiler. Types are therefore shown as the sources name them, and what macros
//! expand to is not shown. That is enough to notice a change of the names that authors of applications and plugins can use.

mod resolve;
mod source;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::{Attribute, ImplItem, Item, ItemImpl, Type, Visibility};

use self::resolve::{Resolved, leaves};
use self::source::{Crate, Definition};

/// Returns the public interface of the crate `name`, one item in a line.
///
/// Its root file is `root`.
pub fn public_items(name: &str, root: &Path) -> String {
    let krate = Crate::read(root);
    let mut listing = Listing { krate: &krate, lines: BTreeSet::new(), public: BTreeMap::new() };
    listing.module(0, name, &[]);
    listing.exported_macros(name);
    listing.impls();
    let mut text: String = listing.lines.into_iter().map(|line| line + "\n").collect();
    if text.is_empty() {
        text.push_str("(nothing)\n");
    }
    text
}

struct Listing<'a> {
    krate: &'a Crate,
    lines: BTreeSet<String>,
    /// Under which path a definition is public, the first one found.
    public: BTreeMap<Definition, (String, Vec<String>)>,
}

impl Listing<'_> {
    /// Lists the public items of a module, which is public as `path` under the conditions `cfgs`.
    fn module(&mut self, module: usize, path: &str, cfgs: &[String]) {
        for (index, item) in self.krate.modules[module].items.iter().enumerate() {
            if !text::is_public(item) {
                continue;
            }
            match item {
                Item::Use(item) => {
                    let cfgs = with(cfgs, text::of_attributes(&item.attrs));
                    for leaf in leaves(&item.tree) {
                        self.export(module, &leaf, path, &cfgs);
                    }
                }
                Item::Mod(item) => {
                    let cfgs = with(cfgs, text::of_attributes(&item.attrs));
                    if let Some(child) = self.krate.child(module, &item.ident.to_string()) {
                        let path = format!("{path}::{}", item.ident);
                        self.line(&format!("{path}: mod"), &cfgs);
                        self.module(child, &path, &cfgs);
                    }
                }
                _ => self.item(Definition { module, index }, None, path, cfgs),
            }
        }
    }

    /// Lists what one name of a `pub use` in `module` makes public in `path`.
    fn export(&mut self, module: usize, leaf: &resolve::Leaf, path: &str, cfgs: &[String]) {
        match self.krate.resolve(module, &leaf.path) {
            Resolved::Module(found) if leaf.glob => self.module(found, path, cfgs),
            Resolved::Module(found) => {
                let path = format!("{path}::{}", leaf.name);
                self.line(&format!("{path}: mod"), cfgs);
                self.module(found, &path, cfgs);
            }
            Resolved::Items(found) => {
                for definition in found {
                    self.item(definition, Some(&leaf.name), path, cfgs);
                }
            }
            Resolved::Outside => {
                let name = if leaf.glob { "*" } else { &leaf.name };
                self.line(&format!("{path}::{name}: use {}", leaf.path.join("::")), cfgs);
            }
        }
    }

    fn item(&mut self, definition: Definition, name: Option<&str>, path: &str, cfgs: &[String]) {
        let attributes = text::attributes(self.krate.item(definition));
        let of_members = with(cfgs, text::conditions(attributes));
        let mut of_line = with(cfgs, text::of_attributes(attributes));
        for (place, line) in text::lines(self.krate.item(definition), name, path) {
            self.line(&line, &of_line);
            of_line.clone_from(&of_members);
            self.public.entry(definition).or_insert_with(|| (place, of_members.clone()));
        }
    }

    /// Lists the macros with `#[macro_export]`, which are at the root wherever they are written.
    fn exported_macros(&mut self, name: &str) {
        for item in self.krate.modules.iter().flat_map(|module| &module.items) {
            let Item::Macro(item) = item else { continue };
            if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"))
                && let Some(ident) = &item.ident
            {
                let cfgs = text::of_attributes(&item.attrs);
                for pattern in text::patterns(item.mac.tokens.clone()) {
                    self.line(&format!("{name}::{ident}!: macro {pattern}"), &cfgs);
                }
            }
        }
    }

    /// Lists the methods of public types, and which traits they implement.
    fn impls(&mut self) {
        for (module, item) in self.krate.impls() {
            if let Some((place, cfgs)) = self.subject(module, item) {
                self.implementation(item, &place, &with(&cfgs, text::of_attributes(&item.attrs)));
            }
        }
    }

    /// Returns the public type that an `impl` is for, or else the public trait that is implemented.
    fn subject(&self, module: usize, item: &ItemImpl) -> Option<(String, Vec<String>)> {
        let of = |path: &syn::Path| {
            let path: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            match self.krate.resolve(module, &path) {
                Resolved::Items(found) => found.iter().find_map(|found| self.public.get(found)).cloned(),
                _ => None,
            }
        };
        let own = match &*item.self_ty {
            Type::Path(path) => of(&path.path),
            _ => None,
        };
        own.or_else(|| item.trait_.as_ref().and_then(|(implemented, _)| of(implemented)))
    }

    fn implementation(&mut self, item: &ItemImpl, place: &str, cfgs: &[String]) {
        let header = text::impl_header(item);
        if item.trait_.is_some() {
            self.line(&format!("{place}: {header}"), cfgs);
            return;
        }
        for member in &item.items {
            let (visibility, attributes): (&Visibility, &[Attribute]) = match member {
                ImplItem::Fn(member) => (&member.vis, &member.attrs),
                ImplItem::Const(member) => (&member.vis, &member.attrs),
                ImplItem::Type(member) => (&member.vis, &member.attrs),
                _ => continue,
            };
            if matches!(visibility, Visibility::Public(_)) && !text::is_hidden(attributes) {
                let generic = if item.generics.params.is_empty() { "" } else { &header };
                let (name, text) = text::member(member);
                let line = format!("{place}::{name}: {text}  {generic}");
                self.line(line.trim_end(), &with(cfgs, text::of_attributes(attributes)));
            }
        }
    }

    fn line(&mut self, line: &str, cfgs: &[String]) {
        let conditions: BTreeSet<&str> = cfgs.iter().map(String::as_str).collect();
        let conditions: String = conditions.iter().map(|condition| format!("  {condition}")).collect();
        self.lines.insert(format!("{line}{conditions}"));
    }
}

fn with(cfgs: &[String], more: Vec<String>) -> Vec<String> {
    cfgs.iter().cloned().chain(more).collect()
}
