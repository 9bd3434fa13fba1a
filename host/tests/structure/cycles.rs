//! [`Imports`]: which file imports which, and the cycles among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::modules::{Modules, Segments};

/// Which file imports which, and by which path.
#[derive(Debug, Default)]
pub(crate) struct Imports(BTreeMap<String, BTreeMap<String, String>>);

/// Files that import each other, directly or through one another.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// All files that take part.
    pub(crate) files: BTreeSet<String>,
    /// One way around: each file, and the path by which it imports the next one.
    steps: Vec<(String, String)>,
}

impl Imports {
    /// Collects the imports between the files of `modules`.
    ///
    /// A parent that declares and exports its children does not import them. It does so once it uses them itself.
    pub(crate) fn of(modules: &Modules) -> Self {
        let mut imports = Imports::default();
        for (path, module) in &modules.0 {
            let (parent, mut named) = (modules.file_module(path), module.paths.clone());
            for (name, export) in &module.exports {
                let target = modules.resolve(path, export).module.unwrap_or_default();
                if !target.starts_with(&parent) || module.words.contains(name) {
                    named.push(export.clone());
                }
            }
            named.iter().for_each(|named| imports.add(modules, path, named));
        }
        imports
    }

    fn add(&mut self, modules: &Modules, module: &Segments, path: &Segments) {
        let Some(target) = modules.resolve(module, path).module else { return };
        let (from, to) = (&modules.0[module].file, &modules.0[&target].file);
        if from != to {
            let imported = self.0.entry(from.clone()).or_default();
            imported.entry(to.clone()).or_insert_with(|| path.join("::"));
        }
    }

    /// Returns the cycles among the files of `folder`, such as `lock`, and its parent, `lock.rs`. The empty folder is
    /// the whole crate.
    pub(crate) fn cycles(&self, folder: &str) -> Vec<Cycle> {
        let is_in = |file: &str| {
            let inner = file.strip_prefix(folder);
            folder.is_empty() || inner.is_some_and(|inner| inner == ".rs" || inner.starts_with('/'))
        };
        let (mut cycles, mut seen) = (Vec::new(), BTreeSet::new());
        for file in self.0.keys().filter(|file| is_in(file)) {
            if seen.contains(file) {
                continue;
            }
            let Some(steps) = self.way(file, file, &is_in) else { continue };
            let meets = |other: &&String| {
                is_in(other)
                    && self.way(file, other, &is_in).is_some()
                    && self.way(other, file, &is_in).is_some()
            };
            let files: BTreeSet<String> = self.0.keys().filter(meets).cloned().collect();
            seen.extend(files.iter().cloned());
            cycles.push(Cycle { files, steps });
        }
        cycles
    }

    /// Returns a shortest way of at least one import from `start` to `end` through files that `is_in` accepts.
    fn way(&self, start: &str, end: &str, is_in: &impl Fn(&str) -> bool) -> Option<Vec<(String, String)>> {
        let mut ways = VecDeque::from([(start.to_owned(), Vec::new())]);
        let mut seen = BTreeSet::new();
        while let Some((file, way)) = ways.pop_front() {
            for (next, path) in self.0.get(&file).into_iter().flatten().filter(|(next, _)| is_in(next)) {
                let longer = [way.as_slice(), &[(file.clone(), path.clone())]].concat();
                if next == end {
                    return Some(longer);
                }
                if seen.insert(next) {
                    ways.push_back((next.clone(), longer));
                }
            }
        }
        None
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, path) in &self.steps {
            write!(f, "{file} -[{path}]-> ")?;
        }
        f.write_str(self.steps.first().map_or("", |(file, _)| file))?;
        if self.files.len() > self.steps.len() {
            write!(f, " (all files that import each other: {:?})", self.files)?;
        }
        Ok(())
    }
}
