//! The names of entry points, their providers, and the errors for unknown names.

use dogpile::registry::{EntryKind, Origin, RegistryError};
use dogpile::sdk::{Arguments, NoArguments};
use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::libraries::library;

use super::{MEMORY, registry_of, told};

fn unknown(registry: &Registry, name: &str) -> String {
    told(&registry.build_backend(name, Arguments::default()).unwrap_err())
}

#[test]
fn entry_points_are_listed_with_kind_and_origin() {
    let registry = Registry::new();
    registry.add_library(library("acme-dogpile-dylib")).unwrap();
    registry.register_backend("tests.coded", |_| unreachable!("the test does not build it")).unwrap();
    let listed = registry.entry_points();
    let find = |name: &str| listed.iter().find(|entry| entry.name == name).unwrap();

    let Origin::Linked { package, version } = &find(MEMORY).origin else { panic!("memory is not linked") };
    assert_eq!((package.as_str(), version.as_str()), ("dogpile-memory", "0.1.0"));
    let counter = find("acme.hit_counter");
    assert_eq!(counter.kind, EntryKind::Proxy);
    let Origin::Library { path, package, version } = &counter.origin else { panic!("acme is not loaded") };
    assert_eq!(path, &library("acme-dogpile-dylib").canonicalize().unwrap());
    assert_eq!((package.as_str(), version.as_str()), ("acme-dogpile-dylib", "0.1.0"));
    assert_eq!(find("tests.coded").origin, Origin::Code);
    assert_eq!(find("dogpile.proxy.logging").kind, EntryKind::Proxy);
}

#[test]
fn unknown_name_error_lists_known_names_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    registry.add_folder(folder.path()).unwrap();
    let told = unknown(&registry, "dogpile.cache.memroy");
    assert!(told.contains("did you mean \"dogpile.cache.memory\"?"), "{told}");
    assert!(told.contains("dogpile.cache.memory_pickle, dogpile.cache.null"), "{told}");
    assert!(told.contains(folder.path().canonicalize().unwrap().to_str().unwrap()), "{told}");
    assert!(!told.contains("its_crate"), "{told}");
    let told = unknown(&registry, "shop.prices");
    assert!(told.contains("use its_crate as _;"), "{told}");
}

#[test]
fn unknown_name_error_without_folders_explains_them() {
    let told = unknown(&registry_of(&["acme-dogpile-dylib"]), "acme.shelv");
    assert!(told.contains("did you mean \"acme.shelf\"?"), "{told}");
    assert!(told.contains("[plugins] path") && told.contains("DOGPILE_PLUGIN_PATH"), "{told}");
}

#[test]
fn proxy_used_as_backend_is_refused_with_advice() {
    let told = unknown(&Registry::new(), "dogpile.proxy.logging");
    assert!(told.contains("it is a proxy; list it under `wrap`"), "{told}");
    let memory = Registry::new().build_backend(MEMORY, Arguments::default()).unwrap();
    let error = Registry::new().build_proxy(MEMORY, Arguments::default(), memory).unwrap_err();
    assert!(super::told(&error).contains("it is a backend; name it as `backend`"));
}

#[test]
fn library_with_a_known_name_is_refused_naming_both_origins() {
    let registry = Registry::new();
    let before = registry.entry_points();
    let error = registry.add_library(library("dogpile-memory-dylib")).unwrap_err();
    assert!(matches!(error, RegistryError::Duplicate { .. }));
    let told = told(&error);
    assert!(told.contains("the linked crate dogpile-memory 0.1.0"), "{told}");
    assert!(told.contains("plugin dogpile-memory-dylib 0.1.0") && told.contains(".so"), "{told}");
    assert_eq!(registry.entry_points(), before, "a part of the library was added");
}

#[test]
fn backend_registered_in_code_is_built_and_keeps_its_name() {
    let registry = Registry::empty();
    registry
        .register_backend("tests.coded", |arguments| {
            let NoArguments {} = arguments.parse()?;
            Ok(super::loaded("acme-dogpile-dylib", "acme.shelf"))
        })
        .unwrap();
    let again = registry.register_backend("tests.coded", |_| unreachable!("it is refused"));
    assert!(told(&again.unwrap_err()).contains("provided twice: by the application's code"));

    let region = CacheRegion::new("coded");
    region.configure(RegionConfig::new("tests.coded").registry(registry)).unwrap();
    assert_eq!(region.get_or_create("key", || 5).unwrap(), 5);
}

#[test]
fn invalid_entry_point_name_is_refused() {
    for name in ["", "with space", "line\nbreak"] {
        let refused = Registry::empty().register_backend(name, |_| unreachable!("it is refused"));
        assert!(told(&refused.unwrap_err()).contains("invalid entry-point name"), "{name:?}");
    }
}
