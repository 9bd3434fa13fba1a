//! A panic in a plugin becomes an error that names the plugin, whichever call panics.

use std::sync::Arc;
use std::time::Instant;

use dogpile::sdk::{Arguments, CacheBackend, ErrorKind};
use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::libraries::library;

use super::{registry_of, told};

const PLUGIN: &str = "fixture-misbehaving";

fn panicking(at: &str) -> Result<Arc<dyn CacheBackend>, dogpile::registry::RegistryError> {
    let arguments = Arguments::from_serialize(std::collections::BTreeMap::from([("at", at)])).unwrap();
    registry_of(&[PLUGIN]).build_backend("fixture.panicking", arguments)
}

fn names_the_plugin(text: &str) -> bool {
    let path = library(PLUGIN).canonicalize().unwrap();
    text.contains(PLUGIN) && text.contains("0.1.0") && text.contains(path.to_str().unwrap())
}

#[test]
fn panic_in_any_operation_is_an_error_naming_the_plugin() {
    let errors = [
        ("get", panicking("get").unwrap().get("key").unwrap_err()),
        ("delete", panicking("delete").unwrap().delete("key").unwrap_err()),
        ("get_multi", panicking("get_multi").unwrap().get_multi(&["a", "b"]).unwrap_err()),
    ];
    for (operation, error) in errors {
        let text = told(&error);
        assert_eq!(error.kind(), ErrorKind::Panicked, "{text}");
        assert_eq!(error.operation(), Some(operation), "{text}");
        assert!(text.contains(&format!("planted panic at {operation}")) && names_the_plugin(&text), "{text}");
    }
}

/// The error alone is enough to find the place. A log need not be searched.
#[test]
fn panic_error_names_the_file_and_the_line() {
    let error = panicking("get").unwrap().get("key").unwrap_err();
    let place = error.location().unwrap();
    assert!(place.contains("misbehaving/src/") && place.contains(".rs:"), "{place}");
    assert!(error.to_string().contains(&format!(" panicked at {place}: ")), "{error}");
}

/// If a created value cannot be stored, the caller still gets it.
#[test]
fn panic_in_set_fails_set_but_not_get_or_create() {
    let arguments = std::collections::BTreeMap::from([("at", "set")]);
    let config = RegionConfig::new("fixture.panicking").arguments(arguments).registry(registry_of(&[PLUGIN]));
    let region = CacheRegion::new("prices");
    region.configure(config).unwrap();
    let text = told(&region.set("tea", 350).unwrap_err());
    for part in ["prices", "fixture.panicking", "set", "tea", "planted panic at set"] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert_eq!(region.get_or_create("tea", || 350).unwrap(), 350);
    assert!(!region.key_is_locked("tea").unwrap(), "the key stayed locked");
}

#[test]
fn panic_while_building_a_backend_is_an_error() {
    let text = told(&panicking("build").unwrap_err());
    assert!(text.contains("planted panic at build") && names_the_plugin(&text), "{text}");
}

#[test]
fn panic_in_acquire_fails_creation_and_frees_the_key() {
    let arguments = std::collections::BTreeMap::from([("at", "acquire")]);
    let config = RegionConfig::new("fixture.panicking").arguments(arguments).registry(registry_of(&[PLUGIN]));
    let region = CacheRegion::new("locked");
    region.configure(config).unwrap();
    for _ in 0..2 {
        let text = told(&region.get_or_create("tea", || 350).unwrap_err());
        assert!(text.contains("planted panic at acquire"), "{text}");
    }
    assert!(!region.key_is_locked("tea").unwrap(), "the key stayed locked");
}

#[test]
fn panic_in_any_mutex_call_is_an_error() {
    let mutex = panicking("acquire").unwrap().get_mutex("tea").unwrap();
    for error in [mutex.try_acquire().unwrap_err(), mutex.acquire_until(Instant::now()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(names_the_plugin(&told(&error)), "{error}");
    }
    assert!(!mutex.is_lost(), "a call that cannot fail returns its default");
}

#[test]
fn panic_in_get_mutex_fails_creation() {
    let arguments = std::collections::BTreeMap::from([("at", "get_mutex")]);
    let config = RegionConfig::new("fixture.panicking").arguments(arguments).registry(registry_of(&[PLUGIN]));
    let region = CacheRegion::new("unlocked");
    region.configure(config).unwrap();
    let text = told(&region.get_or_create("tea", || 350).unwrap_err());
    assert!(text.contains("planted panic at get_mutex"), "{text}");
}

#[test]
fn panic_in_backend_drop_leaves_the_host_running() {
    drop(panicking("drop").unwrap());
    assert!(panicking("nothing").unwrap().get("key").unwrap().is_none());
}

#[test]
fn panic_in_loaded_proxy_is_an_error_naming_the_plugin() {
    let memory = Registry::new().build_backend(super::MEMORY, Arguments::default()).unwrap();
    let registry = registry_of(&[PLUGIN]);
    let proxy = registry.build_proxy("fixture.panicking_proxy", Arguments::default(), memory).unwrap();
    let error = proxy.get("key").unwrap_err();
    assert!(names_the_plugin(&told(&error)), "{error}");
}
