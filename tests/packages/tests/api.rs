//! The public interfaces of the published crates are those in `api/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dogpile_packages::api::public_items;
use dogpile_packages::metadata::{Metadata, text_of};

/// If set, records are written instead of compared.
const REWRITE: &str = "DOGPILE_TESTS_REWRITE";

/// Returns how two records differ.
fn difference(recorded: &str, found: &str) -> String {
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (recorded.lines().collect(), found.lines().collect());
    let removed = old.difference(&new).map(|line| format!("- {line}\n"));
    removed.chain(new.difference(&old).map(|line| format!("+ {line}\n"))).collect()
}

#[test]
fn public_interfaces_are_those_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("api");
    let mut differences = String::new();
    let mut expected = BTreeSet::new();
    let metadata = Metadata::read();
    for package in metadata.published() {
        let targets = package["targets"].as_array().expect("a package has targets");
        let kinds = ["lib", "proc-macro"];
        let library = targets.iter().find(|target| kinds.iter().any(|kind| target["kind"][0] == *kind));
        let Some(library) = library else { continue };
        let found = public_items(&text_of(&library["name"]), Path::new(&text_of(&library["src_path"])));
        let file = format!("{}.txt", text_of(&package["name"]));
        expected.insert(file.clone());
        let record = folder.join(&file);
        if std::env::var_os(REWRITE).is_some() {
            fs::write(&record, found).expect("the record can be written");
            continue;
        }
        let recorded = fs::read_to_string(&record).unwrap_or_default();
        let difference = difference(&recorded, &found);
        if !difference.is_empty() {
            differences += &format!("{file}:\n{difference}");
        }
    }
    assert!(
        differences.is_empty(),
        "public items differ from tests/packages/api; run this test with {REWRITE}=1:\n{differences}"
    );
    let present = fs::read_dir(folder).expect("the folder of records exists").flatten();
    let present: BTreeSet<String> =
        present.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(present, expected, "there is one record for each published library");
}

#[test]
fn difference_names_removed_and_added_items() {
    assert_eq!(difference("a\nb\n", "b\nc\n"), "- a\n+ c\n");
    assert_eq!(difference("a\nb\n", "b\na\n"), "");
}

/// Writes a crate of two files and returns its public items.
fn items_of(name: &str, root: &str, inner: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("the folder can be created");
    fs::write(folder.join("lib.rs"), root).expect("the file can be written");
    fs::write(folder.join("inner.rs"), inner).expect("the file can be written");
    public_items("shop", &folder.join("lib.rs"))
}

#[test]
fn items_are_listed_where_they_are_public() {
    let root = "
        mod inner;
        pub use inner::{Price, Priced as HasPrice};
        #[cfg(feature = \"more\")]
        pub mod more { pub use std::fmt; pub fn of<T: Clone>(all: &[T],) -> Option<T> { all.first().cloned() } }
        #[doc(hidden)]
        pub fn hidden() {}
        fn private() {}
        #[cfg(test)]
        pub mod tests {}
    ";
    let inner = "
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Price { pub cents: u64, secret: bool }
        impl Price { pub const fn new(cents: u64) -> Self { Price { cents, secret: false } } fn private() {} }
        impl Default for Price { fn default() -> Self { Price::new(0) } }
        pub trait Priced: Send { fn price(&self) -> Price; fn twice(&self) -> u64 { 2 * self.price().cents } }
        pub struct Unreachable;
    ";
    let expected = "\
        shop::HasPrice: trait: Send\n\
        shop::HasPrice::price: fn(&self) -> Price\n\
        shop::HasPrice::twice: fn(&self) -> u64 { .. }\n\
        shop::Price.cents: u64\n\
        shop::Price: impl Default for Price\n\
        shop::Price: struct  derives Clone, Debug  #[non_exhaustive]\n\
        shop::Price::new: const fn(cents: u64) -> Self\n\
        shop::more: mod  #[cfg(feature = \"more\")]\n\
        shop::more::fmt: use std::fmt  #[cfg(feature = \"more\")]\n\
        shop::more::of: fn<T: Clone>(all: &[T]) -> Option<T>  #[cfg(feature = \"more\")]\n";
    assert_eq!(items_of("listed", root, inner), expected);
}

#[test]
fn changed_signature_changes_the_record() {
    let root = "mod inner; pub use inner::*;";
    let before = items_of("changed", root, "pub fn price(item: &str) -> u64 { 0 }");
    let after = items_of("changed", root, "pub fn price(item: &str) -> u32 { 0 }");
    assert_eq!(
        difference(&before, &after),
        "- shop::price: fn(item: &str) -> u64\n+ shop::price: fn(item: &str) -> u32\n"
    );
}
