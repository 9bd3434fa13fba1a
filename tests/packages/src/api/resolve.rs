//! What the paths of imports and types lead to.

use syn::{Item, UseTree};

use super::source::{Crate, Definition};
use super::text;

/// How many imports may lead from one to the next.
const STEPS: usize = 16;

/// What a path leads to.
pub(super) enum Resolved {
    Module(usize),
    /// Items of one name: a type, and perhaps a function or a macro.
    Items(Vec<Definition>),
    /// Something of another crate, or nothing that the sources show.
    Outside,
}

/// One name of a `use`.
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) name: String,
    pub(super) glob: bool,
}

/// Returns all names that a `use` imports.
pub(super) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    let leaf = |path: &[String], name: String, glob| {
        let mut path = path.to_vec();
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name };
        Leaf { path, name, glob }
    };
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            collect(&tree.tree, path, found);
            path.pop();
        }
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            path.push(name.clone());
            found.push(leaf(path, name, false));
            path.pop();
        }
        UseTree::Rename(tree) => {
            path.push(tree.ident.to_string());
            found.push(leaf(path, tree.rename.to_string(), false));
            path.pop();
        }
        UseTree::Glob(_) => found.push(leaf(path, String::new(), true)),
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| collect(tree, path, found)),
    }
}

impl Crate {
    /// Returns what `path` leads to, as it is written in `module`.
    pub(super) fn resolve(&self, module: usize, path: &[String]) -> Resolved {
        self.follow(module, path, STEPS)
    }

    fn follow(&self, module: usize, path: &[String], steps: usize) -> Resolved {
        let Some((first, rest)) = path.split_first() else { return Resolved::Module(module) };
        let next = match first.as_str() {
            "crate" => Some(0),
            "self" => Some(module),
            "super" => self.modules[module].parent,
            name => return self.name(module, name, rest, steps),
        };
        next.map_or(Resolved::Outside, |next| self.follow(next, rest, steps))
    }

    fn name(&self, module: usize, name: &str, rest: &[String], steps: usize) -> Resolved {
        if let Some(child) = self.child(module, name) {
            return self.follow(child, rest, steps);
        }
        let items = self.modules[module].items.iter().enumerate();
        let found: Vec<_> = items
            .filter(|(_, item)| text::name(item).is_some_and(|found| found == name))
            .map(|(index, _)| Definition { module, index })
            .collect();
        if !found.is_empty() {
            return if rest.is_empty() { Resolved::Items(found) } else { Resolved::Outside };
        }
        steps.checked_sub(1).map_or(Resolved::Outside, |steps| self.import(module, name, rest, steps))
    }

    /// Returns what `name` leads to if `module` imports it.
    fn import(&self, module: usize, name: &str, rest: &[String], steps: usize) -> Resolved {
        let uses = self.modules[module].items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(leaves(&item.tree)),
            _ => None,
        });
        for leaf in uses.flatten() {
            let mut path = leaf.path.clone();
            match leaf.glob {
                true => path.push(name.to_owned()),
                false if leaf.name == name && leaf.path != [name] => {}
                false => continue,
            }
            path.extend(rest.iter().cloned());
            let found = self.follow(module, &path, steps);
            if !matches!(found, Resolved::Outside) {
                return found;
            }
        }
        Resolved::Outside
    }
}
