//! Values, backends, and proxies that cross the FFI boundary between the host and plugin libraries.

use std::sync::Arc;

use dogpile::sdk::{Arguments, CachedValue, CreationTime, Metadata, Object, Payload, StoreOptions};
use dogpile::{InMemory, RegionConfig};

use super::{MEMORY, loaded, region_on, registry_of};

#[test]
fn loaded_backend_stores_host_objects_unserialized() {
    let region = region_on(&registry_of(&["dogpile-memory-dylib"]), MEMORY);
    let stored = Arc::new("no serde needed".to_owned());
    region.set("key", InMemory(Arc::clone(&stored))).unwrap();
    let InMemory(found): InMemory<Arc<String>> = region.get("key").unwrap().unwrap();
    assert!(Arc::ptr_eq(&stored, &found));
    region.delete("key").unwrap();
    drop(found);
    assert!(Arc::try_unwrap(stored).is_ok(), "the deleted value is still held somewhere");
}

#[test]
fn value_panicking_on_drop_in_a_library_is_contained() {
    struct Explosive;
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let backend = loaded("dogpile-memory-dylib", MEMORY);
    let payload = Payload::Object(Object::new(Explosive));
    let metadata = Metadata::new(CreationTime::from_seconds(1.0));
    backend.set("key", CachedValue { payload, metadata }, &StoreOptions::new()).unwrap();
    backend.delete("key").unwrap();
    drop(backend);
    assert!(loaded("dogpile-memory-dylib", MEMORY).get("key").unwrap().is_none());
}

#[test]
fn two_loaded_plugins_do_not_interfere() {
    let registry = registry_of(&["dogpile-memory-dylib", "acme-dogpile-dylib"]);
    let (memory, shelf) = (region_on(&registry, MEMORY), region_on(&registry, "acme.shelf"));
    memory.set("key", 1).unwrap();
    shelf.set("key", 2).unwrap();
    assert_eq!(memory.get::<i32>("key").unwrap(), Some(1));
    assert_eq!(shelf.get::<i32>("key").unwrap(), Some(2));
}

#[test]
fn loaded_proxy_wraps_backend_of_another_library() {
    let registry = registry_of(&["dogpile-memory-dylib", "acme-dogpile-dylib"]);
    let memory = registry.build_backend(MEMORY, Arguments::default()).unwrap();
    let proxy = registry.build_proxy("acme.hit_counter", Arguments::default(), Arc::clone(&memory)).unwrap();
    let region = dogpile::CacheRegion::new("wrapped");
    region.configure(RegionConfig::from_instance(proxy)).unwrap();
    region.set("key", 7).unwrap();
    assert!(memory.get("key").unwrap().is_some(), "the proxy did not pass the value on");
    assert_eq!(region.get::<i32>("key").unwrap(), Some(7));
}

#[test]
fn loaded_proxy_keeps_scope_and_keys_of_its_backend() {
    let registry = registry_of(&["dogpile-memory-dylib", "acme-dogpile-dylib"]);
    let memory = registry.build_backend(MEMORY, Arguments::default()).unwrap();
    let proxy = registry.build_proxy("acme.hit_counter", Arguments::default(), Arc::clone(&memory)).unwrap();
    assert!(memory.capabilities().scope.is_some());
    assert_eq!(memory.capabilities().scope, proxy.capabilities().scope);
    assert_eq!(proxy.store_key("key"), "key");
}

/// The region logs a warning that lists them.
#[test]
fn loaded_backend_reports_arguments_without_effect() {
    let registry = registry_of(&["dogpile-memory-dylib"]);
    let config = RegionConfig::new(MEMORY).argument("pool_maxsize", 5).argument("sasl_enabled", false);
    let region = dogpile::CacheRegion::new("foreign names");
    region.configure(config.registry(registry)).unwrap();
    region.set("key", 7).unwrap();
    assert_eq!(region.get::<i32>("key").unwrap(), Some(7));
    let ignored = region.backend().unwrap().capabilities().ignored_arguments;
    assert_eq!(ignored, ["pool_maxsize", "sasl_enabled"]);
}

#[test]
fn unknown_argument_of_loaded_backend_is_named() {
    let registry = registry_of(&["dogpile-memory-dylib"]);
    let region = dogpile::CacheRegion::new("mistyped");
    let config = RegionConfig::new(MEMORY).argument("max_entires", 5).registry(registry);
    let text = super::told(&region.configure(config).unwrap_err());
    assert!(text.contains("max_entires") && text.contains("did you mean \"max_entries\"?"), "{text}");
    assert!(text.contains("dogpile-memory"), "{text}");
}
