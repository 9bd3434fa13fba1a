//! A host in its own process, for tests that need another environment or build.
//!
//! * `probe names` prints the entry points and problems of [`Registry::new`].
//! * `probe use LIBRARY BACKEND` stores a value through a library and reads it back.
//! * `probe async LIBRARY BACKEND` does so asynchronously, and prints the store options that the plugin received.
//! * `probe generation LIBRARY BACKEND` calls the methods that only the later binary interface has.
//! * `probe hold BACKEND ARGUMENTS KEY` holds a mutex until it is killed.

use std::process::ExitCode;
use std::time::Duration;

use dogpile::registry::Trust;
use dogpile::sdk::{Arguments, CachedValue, CreationTime, Metadata, Payload, Pending, StoreOptions};
use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::threads::block_on;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["names"] => names(),
        ["use", library, backend] => store_and_read(library, backend),
        ["async", library, backend] => asynchronous(library, backend),
        ["generation", library, backend] => generation(library, backend),
        ["hold", backend, arguments, key] => hold(backend, arguments, key),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn names() {
    let registry = Registry::new();
    registry
        .entry_points()
        .iter()
        .for_each(|entry| println!("{} {}: {}", entry.kind, entry.name, entry.origin));
    registry.problems().iter().for_each(|problem| println!("problem: {problem}"));
}

fn store_and_read(library: &str, backend: &str) {
    let registry = registry_of(library);
    let region = CacheRegion::new("probe");
    region.configure(RegionConfig::new(backend).registry(registry)).expect("the backend is built");
    let made = region.get_or_create("key", || "made".to_owned()).expect("the backend works");
    println!("{made} {:?}", region.get::<String>("key").expect("the backend works"));
}

/// Returns a registry with the library at `library` alone, which may provide names of dogpile's own.
fn registry_of(library: &str) -> Registry {
    let registry = Registry::empty();
    registry.restrict(Trust::default().reserved("dogpile.*").expect("the names are reserved"));
    registry.add_library(library).expect("the library opens");
    registry
}

/// `arguments` is JSON.
fn hold(backend: &str, arguments: &str, key: &str) {
    let arguments = serde_json::from_str(arguments).expect("the arguments are JSON");
    let backend = Registry::global().build_backend(backend, arguments).expect("the backend is built");
    dogpile_conformance::hold(&*backend, key).expect("the mutex is free");
}

/// Stores a value asynchronously, prints it as it is read back, and prints the store options that the plugin received.
fn asynchronous(library: &str, backend: &str) {
    let registry = registry_of(library);
    let backend = registry.build_backend(backend, Arguments::default()).expect("the backend is built");
    let operations = backend.operations().expect("the backend has asynchronous calls");
    let payload = Payload::Bytes(b"made".to_vec().into());
    let value = CachedValue { payload, metadata: Metadata::new(CreationTime::now()) };
    let options = options();
    let set = Pending::begin(|completion| operations.begin_set("later:key", value, &options, completion));
    block_on(set).expect("the call succeeds");
    let get = Pending::begin(|completion| operations.begin_get("later:key", completion));
    let read = |found: Option<CachedValue>| text(&found.expect("it was stored"));
    println!("{}", read(block_on(get).expect("the call succeeds")));
    println!("{}", read(backend.get("control:options").expect("the call succeeds")));
}

fn text(value: &CachedValue) -> String {
    String::from_utf8_lossy(value.payload.as_bytes().expect("it is stored as bytes")).into_owned()
}

/// Returns store options that set each option which this build knows.
fn options() -> StoreOptions {
    let options = StoreOptions::new().with_keep_for(Duration::from_secs(5));
    #[cfg(dogpile_abi_next)]
    let options = {
        let mut options = options;
        options.trial = Some(7);
        options
    };
    options
}

/// Calls the methods that plugins of today's binary interface do not have.
#[cfg(dogpile_abi_next)]
fn generation(library: &str, backend: &str) {
    struct Silent;
    impl dogpile_abi::Host for Silent {
        fn log_enabled(_level: u8, _target: &str) -> bool {
            false
        }
        fn log(_record: dogpile_abi::LogRecord<'_>) {}
    }
    let host = dogpile_abi::HostRef::of::<Silent>();
    let library = dogpile_abi::OpenLibrary::open(library.as_ref(), host).expect("the library opens");
    let backend = library.build(backend, "{}", None).expect("the backend is built");
    println!("generation {}", backend.generation().expect("the fallback succeeds"));
    if let Some(operations) = backend.operations().expect("the call succeeds").into_option() {
        println!("operations {}", operations.generation().expect("the fallback succeeds"));
    }
}

#[cfg(not(dogpile_abi_next))]
fn generation(_library: &str, _backend: &str) {
    println!("generation unknown");
}
