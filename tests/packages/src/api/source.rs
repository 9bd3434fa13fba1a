//! The modules of a crate, and the items in them.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Item, ItemImpl};

/// A crate as its files spell it. Module 0 is the root.
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
}

pub(super) struct Module {
    pub(super) parent: Option<usize>,
    pub(super) name: String,
    /// All items, except those for tests.
    pub(super) items: Vec<Item>,
}

/// An item, by its place in the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Definition {
    pub(super) module: usize,
    pub(super) index: usize,
}

impl Crate {
    /// Reads all files of the crate with the root file `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut krate = Crate { modules: Vec::new() };
        let folder = root.parent().expect("a file is in a folder");
        krate.add(None, String::new(), items(root), folder);
        krate
    }

    /// Adds a module, and the modules in it. Their files are in `folder`.
    fn add(&mut self, parent: Option<usize>, name: String, items: Vec<Item>, folder: &Path) {
        let items: Vec<Item> = items.into_iter().filter(|item| !is_for_tests(item)).collect();
        let number = self.modules.len();
        let children: Vec<(String, Vec<Item>)> =
            items.iter().filter_map(|item| child(item, folder)).collect();
        self.modules.push(Module { parent, name, items });
        for (name, items) in children {
            let folder = folder.join(&name);
            self.add(Some(number), name, items, &folder);
        }
    }

    pub(super) fn child(&self, module: usize, name: &str) -> Option<usize> {
        self.modules.iter().position(|child| child.parent == Some(module) && child.name == name)
    }

    pub(super) fn item(&self, definition: Definition) -> &Item {
        &self.modules[definition.module].items[definition.index]
    }

    /// Returns all `impl` blocks, and the number of the module that each is in.
    pub(super) fn impls(&self) -> impl Iterator<Item = (usize, &ItemImpl)> {
        let modules = self.modules.iter().enumerate();
        modules.flat_map(|(number, module)| module.items.iter().map(move |item| (number, item))).filter_map(
            |(number, item)| match item {
                Item::Impl(item) => Some((number, item)),
                _ => None,
            },
        )
    }
}

fn items(file: &Path) -> Vec<Item> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())).items
}

/// Returns the name and the items of a module that `item` declares.
fn child(item: &Item, folder: &Path) -> Option<(String, Vec<Item>)> {
    let Item::Mod(module) = item else { return None };
    let name = module.ident.to_string();
    let file: PathBuf = folder.join(format!("{name}.rs"));
    let items = match &module.content {
        Some((_, items)) => items.clone(),
        None => items(&file),
    };
    Some((name, items))
}

/// Whether an item exists only in tests, or in a special build of them.
fn is_for_tests(item: &Item) -> bool {
    super::text::conditions(super::text::attributes(item)).iter().any(|condition| {
        ["test", "doctest", "dogpile_loom", "dogpile_abi_next", "dogpile_abi_mismatched"]
            .iter()
            .any(|name| *condition == format!("#[cfg({name})]") || condition.starts_with("#[cfg(all(doctest"))
    })
}
