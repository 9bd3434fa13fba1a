//! [`Modules`]: the modules of a crate and the paths that they name, read from its files.
//!
//! Reads tokens instead of a syntax tree, so that paths inside macro calls count, too. Skips items that are compiled
//! only for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path such as `crate::lock::Gates`, one segment per entry.
pub(crate) type Segments = Vec<String>;

/// Keywords that a defined name follows.
const DEFINING: [&str; 9] =
    ["const", "enum", "fn", "static", "struct", "trait", "type", "union", "macro_rules"];

/// The most exports and globs through which a path is followed. Globs may lead in circles.
const DEEPEST: usize = 6;

/// A module: a file, or a `mod` block within one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The file, relative to the source folder of its crate.
    pub(crate) file: String,
    /// The paths that imports and code name, as they are written.
    pub(crate) paths: Vec<Segments>,
    /// What `pub use` names, by the name that it exports.
    pub(crate) exports: BTreeMap<String, Segments>,
    /// Each name that occurs in code outside of imports.
    pub(crate) words: BTreeSet<String>,
    imports: BTreeMap<String, Segments>,
    globs: Vec<Segments>,
    defined: BTreeSet<String>,
}

/// The modules of a crate, by their paths, and those that are compiled only for tests. The crate's root has the empty path.
#[derive(Debug, Default)]
pub(crate) struct Modules(pub(crate) BTreeMap<Segments, Module>, BTreeSet<Segments>);

/// What a path leads to.
#[derive(Debug, PartialEq)]
pub(crate) struct Resolved {
    /// The module of this crate that defines it, or that imports it from another crate.
    pub(crate) module: Option<Segments>,
    /// Its full path. It begins with `crate`, or with the name of another crate.
    pub(crate) path: Segments,
}

impl Modules {
    /// Reads all files of the source folder `root`.
    pub(crate) fn of_folder(root: &Path) -> Self {
        let mut files = Vec::new();
        list(root, root, &mut files);
        Self::of_files(&files)
    }

    /// Reads `files`, each a path relative to the source folder and a text.
    pub(crate) fn of_files(files: &[(String, String)]) -> Self {
        let mut modules = Modules::default();
        for (file, text) in files {
            let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
            let module = module_of(file);
            modules.0.entry(module.clone()).or_default().file.clone_from(file);
            modules.read(&module, tokens, true);
        }
        modules.drop_tests();
        modules
    }

    /// Removes the modules that are compiled only for tests, with all modules in them.
    fn drop_tests(&mut self) {
        let tests = std::mem::take(&mut self.1);
        self.0.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
    }

    /// Returns the module that `file` is.
    pub(crate) fn file_module(&self, module: &[String]) -> Segments {
        module_of(&self.0[module].file)
    }

    /// Returns what `path`, as written in `module`, leads to; follows imports and exports of other modules.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Resolved {
        self.follow(module, path, 0)
    }

    /// Returns `path`, as written in `module`, from the crate's root on; follows no imports.
    pub(crate) fn absolute(&self, module: &[String], path: &[String]) -> Segments {
        let is_child = self.is_module(module, &path[0]);
        let mut absolute = match path[0].as_str() {
            "self" | "super" => [&["crate".to_owned()], module].concat(),
            _ if is_child => [&["crate".to_owned()], module].concat(),
            _ => Vec::new(),
        };
        for segment in path.iter().filter(|segment| *segment != "self") {
            match segment.as_str() {
                "super" => drop(absolute.pop()),
                _ => absolute.push(segment.clone()),
            }
        }
        absolute
    }

    fn follow(&self, module: &[String], path: &[String], depth: usize) -> Resolved {
        let first = path[0].as_str();
        let known = |name| self.is_module(module, name) || self.import(module, name, depth).is_some();
        match first {
            _ if depth > DEEPEST => Resolved { module: None, path: path.to_vec() },
            "crate" => self.descend(&[], &path[1..], depth),
            "self" | "super" => self.descend(module, path, depth),
            _ if known(first) => self.descend(module, path, depth),
            _ => Resolved { module: None, path: path.to_vec() },
        }
    }

    fn descend(&self, at: &[String], rest: &[String], depth: usize) -> Resolved {
        let Some((name, deeper)) = rest.split_first() else { return here(at, rest) };
        if name == "self" {
            return self.descend(at, deeper, depth);
        }
        if name == "super" {
            return self.descend(&at[..at.len().saturating_sub(1)], deeper, depth);
        }
        if self.is_module(at, name) {
            return self.descend(&[at, std::slice::from_ref(name)].concat(), deeper, depth);
        }
        let Some(target) = self.import(at, name, depth) else { return here(at, rest) };
        let found = self.follow(at, &[target.as_slice(), deeper].concat(), depth + 1);
        Resolved { module: found.module.or_else(|| Some(at.to_vec())), path: found.path }
    }

    fn is_module(&self, parent: &[String], name: &str) -> bool {
        self.0.contains_key(&[parent, &[name.to_owned()]].concat())
    }

    /// Returns the path by which `module` imports `name`, if it does not define it.
    fn import(&self, module: &[String], name: &str, depth: usize) -> Option<Segments> {
        let found = self.0.get(module)?;
        if let Some(path) = found.imports.get(name).or_else(|| found.exports.get(name)) {
            return Some(path.clone());
        }
        if found.defined.contains(name) || depth > DEEPEST {
            return None;
        }
        let has_name = |glob: &&Segments| {
            let target = self.follow(module, glob, depth + 1).module.filter(|target| target != module);
            target.is_some_and(|target| self.has(&target, name, depth + 1))
        };
        let glob = found.globs.iter().find(has_name)?;
        Some([glob.as_slice(), &[name.to_owned()]].concat())
    }

    fn has(&self, module: &[String], name: &str, depth: usize) -> bool {
        let defines = |module: &Module| module.defined.contains(name);
        self.0.get(module).is_some_and(defines) || self.import(module, name, depth).is_some()
    }

    fn read(&mut self, module: &Segments, tokens: TokenStream, is_top: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut is_public) = (0, false);
        while at < tokens.len() {
            let rest = &tokens[at..];
            let word = word(&rest[0]);
            if let Some(length) = visibility(rest) {
                (at, is_public) = (at + length, true);
                continue;
            }
            at += if is_test_attribute(rest) {
                self.1.extend(module_file(&rest[2..]).map(|name| [module.as_slice(), &[name]].concat()));
                2 + item_length(&rest[2..])
            } else if word.as_deref() == Some("use") && !is_punct(rest.get(1), '<') {
                self.read_use(module, rest, is_public)
            } else if let Some((name, body)) = inline_module(rest) {
                self.read_block(module, &name, body);
                3
            } else if let Some(word) = word {
                self.read_word(module, &tokens, at, &word, is_top)
            } else {
                if let TokenTree::Group(group) = &rest[0] {
                    self.read(module, group.stream(), false);
                }
                1
            };
            is_public = false;
        }
    }

    fn read_block(&mut self, parent: &Segments, name: &str, body: TokenStream) {
        let path = [parent.as_slice(), &[name.to_owned()]].concat();
        let file = self.0[parent].file.clone();
        self.0.entry(path.clone()).or_default().file = file;
        self.read(&path, body, true);
    }

    fn read_use(&mut self, module: &Segments, rest: &[TokenTree], is_public: bool) -> usize {
        let length = item_length(rest);
        let mut leaves = Vec::new();
        use_leaves(&rest[1..length], &[], &mut leaves);
        let Some(module) = self.0.get_mut(module) else { return length };
        for (path, name) in leaves {
            match name.as_str() {
                "*" => {
                    module.globs.push(path.clone());
                    module.paths.push(path);
                }
                _ if is_public => {
                    module.exports.insert(name, path);
                }
                _ => {
                    module.imports.insert(name, path.clone());
                    module.paths.push(path);
                }
            }
        }
        length
    }

    /// Reads a name, or a path that begins with it.
    fn read_word(
        &mut self,
        module: &Segments,
        tokens: &[TokenTree],
        at: usize,
        word: &str,
        is_top: bool,
    ) -> usize {
        let Some(module) = self.0.get_mut(module) else { return 1 };
        if DEFINING.contains(&word) {
            let name_at = at + 1 + usize::from(is_punct(tokens.get(at + 1), '!'));
            let name = tokens.get(name_at).and_then(self::word);
            if let Some(name) = name.filter(|name| is_top && !DEFINING.contains(&name.as_str())) {
                module.defined.insert(name);
            }
            return 1;
        }
        if is_member_or_lifetime(&tokens[..at]) {
            return 1;
        }
        let (path, length) = path_at(&tokens[at..]);
        module.words.insert(path[0].clone());
        if path.len() > 1 {
            module.paths.push(path);
        }
        length
    }
}

fn here(at: &[String], rest: &[String]) -> Resolved {
    Resolved { module: Some(at.to_vec()), path: [&["crate".to_owned()], at, rest].concat() }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            list(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn module_of(file: &str) -> Segments {
    match file.strip_suffix(".rs").unwrap_or(file) {
        "lib" | "main" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

/// Returns how many tokens the `pub` that `rest` begins with takes.
fn visibility(rest: &[TokenTree]) -> Option<usize> {
    word(&rest[0]).filter(|word| word == "pub")?;
    let scope = match rest.get(1) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => group.stream(),
        _ => return Some(1),
    };
    let scope = scope.into_iter().next().as_ref().and_then(word);
    let is_scope = scope.is_some_and(|word| ["crate", "in", "self", "super"].contains(&word.as_str()));
    Some(1 + usize::from(is_scope))
}

/// Returns whether `rest` begins with an attribute by which an item is compiled only for tests.
fn is_test_attribute(rest: &[TokenTree]) -> bool {
    let (true, Some(TokenTree::Group(group))) = (is_punct(rest.first(), '#'), rest.get(1)) else {
        return false;
    };
    let text: String = group.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Returns the name of the module in a file of its own that `rest` begins with.
fn module_file(rest: &[TokenTree]) -> Option<String> {
    let is_module = word(rest.first()?)? == "mod" && is_punct(rest.get(2), ';');
    if is_module { word(rest.get(1)?) } else { None }
}

/// Returns how many tokens reach to the end of the item that `rest` begins with.
fn item_length(rest: &[TokenTree]) -> usize {
    let is_use = rest.first().and_then(word).is_some_and(|word| word == "use");
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use,
        token => is_punct(Some(token), ';'),
    };
    rest.iter().position(ends).map_or(rest.len(), |at| at + 1)
}

fn inline_module(rest: &[TokenTree]) -> Option<(String, TokenStream)> {
    let [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Group(body), ..] = rest else {
        return None;
    };
    (keyword == "mod" && body.delimiter() == Delimiter::Brace).then(|| (name.to_string(), body.stream()))
}

fn is_member_or_lifetime(before: &[TokenTree]) -> bool {
    let last = before.last();
    let is_range = before.len() > 1 && is_punct(before.get(before.len() - 2), '.');
    (is_punct(last, '.') && !is_range) || is_punct(last, '\'')
}

/// Returns the path that `rest` begins with, and how many tokens it takes.
fn path_at(rest: &[TokenTree]) -> (Segments, usize) {
    let (mut path, mut at) = (vec![word(&rest[0]).unwrap_or_default()], 1);
    while is_punct(rest.get(at), ':') && is_punct(rest.get(at + 1), ':') {
        let Some(segment) = rest.get(at + 2).and_then(word) else { break };
        path.push(segment);
        at += 3;
    }
    (path, at)
}

/// Adds each path that a `use` names, with the name that it brings into scope; `*` stands for all names.
fn use_leaves(tree: &[TokenTree], prefix: &[String], leaves: &mut Vec<(Segments, String)>) {
    let (mut path, mut name) = (prefix.to_vec(), None);
    for (at, token) in tree.iter().enumerate() {
        match token {
            TokenTree::Group(group) => return use_group(group.stream(), &path, leaves),
            TokenTree::Ident(word) if word == "as" => name = tree.get(at + 1).map(ToString::to_string),
            TokenTree::Ident(word) if name.is_none() => path.push(word.to_string()),
            token if is_punct(Some(token), '*') => name = Some("*".to_owned()),
            _ => {}
        }
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
    leaves.push((path, name));
}

fn use_group(group: TokenStream, prefix: &[String], leaves: &mut Vec<(Segments, String)>) {
    let inner: Vec<TokenTree> = group.into_iter().collect();
    let trees = inner.split(|token| is_punct(Some(token), ','));
    trees.filter(|tree| !tree.is_empty()).for_each(|tree| use_leaves(tree, prefix, leaves));
}
