//! The configuration of regions from code, flat settings, and TOML.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogpile::sdk::{Arguments, BackendError, CacheBackend, KeyMangler, register_backend};
use dogpile::{CacheRegion, Configuration, RegionConfig, RegionError};
use dogpile_tests::errors::told;
use dogpile_tests::forgetful::Forgetful;
use dogpile_tests::regions::{Subject, region_of};
use dogpile_tests::scripted::Scripted;
use serde::Deserialize;

/// Arguments as an entry point may declare them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    url: Option<String>,
    password: Option<String>,
    lock_timeout: Option<u32>,
    distributed_lock: Option<bool>,
    lock_sleep: Option<f64>,
}

/// Arguments with lists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[allow(dead_code, reason = "read through Debug")]
    nodes: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "read through Debug")]
    weights: Option<Vec<u32>>,
}

register_backend! {
    name: "tests.listed",
    config: Listed,
    build: |listed: Listed| Ok::<_, BackendError>(Forgetful(listed)),
}

register_backend! {
    name: "tests.recording",
    config: Arguments,
    build: |arguments: Arguments| Ok::<_, BackendError>(Forgetful(arguments.to_json())),
}

register_backend! {
    name: "tests.typed",
    config: Asked,
    build: |asked: Asked| Ok::<_, BackendError>(Forgetful(asked)),
}

fn built_with(region: &CacheRegion) -> String {
    format!("{:?}", region.actual_backend().unwrap())
}

/// Checks that a region with `config` serves values until they are older than `seconds`.
fn expires_after(config: RegionConfig, seconds: u64) {
    let Subject { region, clock } = Subject::new(config);
    region.set("key", 1).unwrap();
    clock.advance(Duration::from_secs(seconds));
    assert_eq!(region.get("key").unwrap(), Some(1), "after {seconds} seconds");
    clock.advance(Duration::from_millis(10));
    assert_eq!(region.get::<i32>("key").unwrap(), None, "after more than {seconds} seconds");
}

/// Behavior: `region-name`
#[test]
fn region_name_is_the_given_name() {
    assert_eq!(CacheRegion::new("some name").name(), "some name");
    assert_eq!(CacheRegion::with_defaults("other", RegionConfig::default()).name(), "other");
}

/// Behavior: `config-from-dict`
/// Settings without the prefix are ignored.
#[test]
fn flat_settings_set_backend_arguments_and_expiration() {
    let flat = [
        ("cache.example.backend", "tests.recording"),
        ("cache.example.expiration_time", "600"),
        ("cache.example.arguments.url", "127.0.0.1"),
        ("cache.example.arguments.other", "x"),
        ("cache.another.arguments.url", "10.0.0.1"),
        ("unrelated", "y"),
    ];
    let region = region_of("configured", RegionConfig::from_flat(flat, "cache.example.").unwrap());
    assert_eq!(built_with(&region), r#"Forgetful("{\"other\":\"x\",\"url\":\"127.0.0.1\"}")"#);
    let memory = flat.map(|(name, value)| (name, value.replace("tests.recording", "dogpile.cache.memory")));
    let memory = memory.into_iter().filter(|(name, _)| !name.contains("arguments"));
    expires_after(RegionConfig::from_flat(memory, "cache.example.").unwrap(), 600);
}

/// Behavior: `config-string-coercion`
/// Behavior: `config-coerce-negative-int`
/// Behavior: `config-coerce-plus-int`
/// Behavior: `config-coerce-float`
/// Behavior: `config-coerce-exponent`
#[test]
fn flat_strings_are_converted_to_the_types_of_the_arguments() {
    let shown = |timeout: &str, sleep: &str| {
        let flat = HashMap::from([
            ("backend", "tests.typed"),
            ("arguments.url", "127.0.0.1"),
            ("arguments.password", "None"),
            ("arguments.lock_timeout", timeout),
            ("arguments.distributed_lock", "false"),
            ("arguments.lock_sleep", sleep),
        ]);
        built_with(&region_of("configured", RegionConfig::from_flat(flat, "").unwrap()))
    };
    let expected = |timeout: u32, sleep: f64| {
        format!(
            "Forgetful(Asked {{ url: Some(\"127.0.0.1\"), password: None, lock_timeout: Some({timeout}), \
             distributed_lock: Some(false), lock_sleep: Some({sleep:?}) }})"
        )
    };
    assert_eq!(shown("600", "0.1"), expected(600, 0.1));
    assert_eq!(shown("+1", "-1"), expected(1, -1.0));
    assert_eq!(shown("0", "-3.14e-10"), expected(0, -3.14e-10));
}

/// In Python, the password `0123` becomes 123.
#[test]
fn flat_string_is_not_converted_if_the_argument_is_a_string() {
    for password in ["0123", "1e5", "true", "-1", " none "] {
        let flat = [("backend", "tests.typed"), ("arguments.password", password)];
        let region = region_of("configured", RegionConfig::from_flat(flat, "").unwrap());
        assert!(built_with(&region).contains(&format!("password: Some({password:?})")), "{password}");
    }
}

/// Behavior: `config-timedelta`
#[test]
fn expiration_may_be_a_duration_or_a_string() {
    let day_and_a_third = Duration::from_secs(115_200);
    expires_after(RegionConfig::new("dogpile.cache.memory").expiration_time(day_and_a_third), 115_200);
    let flat = [("backend", "dogpile.cache.memory"), ("expiration_time", "1day 8h")];
    expires_after(RegionConfig::from_flat(flat, "").unwrap(), 115_200);
    let toml = "[regions.r]\nbackend = 'dogpile.cache.memory'\nexpiration_time = '1day 8h'";
    expires_after(Configuration::from_toml(toml).unwrap().region_config("r").unwrap(), 115_200);
}

/// Behavior: `config-rejects-bad-expiration`
#[test]
fn invalid_expiration_time_is_rejected() {
    let flat = [("backend", "dogpile.cache.memory"), ("expiration_time", "one hour")];
    let error = RegionConfig::from_flat(flat, "").unwrap_err().to_string();
    assert_eq!(
        error,
        "expiration_time = \"one hour\": invalid expiration time \"one hour\": expected seconds (0 or more), a \
         duration such as \"5m\", or -1 for never"
    );
}

/// Behavior: `config-twice-rejected`
#[test]
fn configuring_a_region_twice_is_an_error() {
    let region = region_of("configured", RegionConfig::new("dogpile.cache.memory"));
    region.set("key", 1).unwrap();
    let error = region.configure(RegionConfig::new("dogpile.cache.memory")).unwrap_err();
    assert!(matches!(error, RegionError::AlreadyConfigured { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "region \"configured\" is already configured, with backend \"dogpile.cache.memory\"; call \
         `replace_existing_backend` to replace it"
    );
    assert!(region.is_configured());
    assert_eq!(region.get("key").unwrap(), Some(1));
}

/// Behavior: `config-replace-backend`
#[test]
fn replaced_backend_serves_the_region() {
    let region = region_of("configured", RegionConfig::new("dogpile.cache.memory"));
    region.set("key", 1).unwrap();
    region.configure(RegionConfig::new("tests.recording").replace_existing_backend()).unwrap();
    assert!(region.is_configured());
    assert_eq!(built_with(&region), "Forgetful(\"{}\")");
    assert_eq!(region.get::<i32>("key").unwrap(), None);
}

/// Behavior: `config-replace-swaps-backend-mangler`
#[test]
fn replacing_the_backend_replaces_its_key_mangler() {
    let (old, new) = (Scripted::with_key_mangler("old:"), Scripted::with_key_mangler("new:"));
    let region = region_of("configured", RegionConfig::from_instance(old.clone()));
    region.set("key", 1).unwrap();
    region.configure(RegionConfig::from_instance(new.clone()).replace_existing_backend()).unwrap();
    region.set("key", 1).unwrap();
    assert_eq!((old.stored_keys(), new.stored_keys()), (vec!["old:key".into()], vec!["new:key".into()]));
}

/// Behavior: `config-replace-keeps-user-mangler`
#[test]
fn regions_key_mangler_is_kept_when_the_backend_is_replaced() {
    let mangler = KeyMangler::new(|key| format!("user:{key}"));
    let defaults = RegionConfig::default().key_mangler(move |key| mangler.mangle(key));
    let region = CacheRegion::with_defaults("configured", defaults);
    for config in [
        RegionConfig::from_instance(Scripted::with_key_mangler("old:")),
        RegionConfig::from_instance(Scripted::with_key_mangler("new:")).replace_existing_backend(),
    ] {
        let store = Mutex::new(Vec::new());
        region.configure(config).unwrap();
        region.set("key", 1).unwrap();
        let backend = region.actual_backend().unwrap();
        store
            .lock()
            .unwrap()
            .extend(["user:key", "old:key", "new:key"].map(|key| backend.get(key).unwrap().is_some()));
        assert_eq!(*store.lock().unwrap(), [true, false, false]);
    }
}

/// Behavior: `config-missing-backend-error`
#[test]
fn unconfigured_region_has_no_backend() {
    let region = CacheRegion::new("lazy");
    assert!(!region.is_configured());
    let expected = "region \"lazy\" is not configured; call `configure` before using it";
    assert_eq!(region.backend().unwrap_err().to_string(), expected);
    assert_eq!(region.actual_backend().unwrap_err().to_string(), expected);
}

/// Behavior: `config-unknown-backend-error`
#[test]
fn unknown_backend_is_reported_and_leaves_region_unconfigured() {
    let region = CacheRegion::new("configured");
    let error = region.configure(RegionConfig::new("tests.recordign")).unwrap_err();
    let begin = "region \"configured\" could not be configured\n\
                 unknown backend \"tests.recordign\"; did you mean \"tests.recording\"?\n";
    assert!(told(&error).starts_with(begin), "{}", told(&error));
    assert!(!region.is_configured());
}

/// Behavior: `configure-leaves-arguments-alone`
#[test]
fn configuring_leaves_the_callers_arguments_unchanged() {
    let arguments = BTreeMap::from([("url", "127.0.0.1"), ("other", "x")]);
    let before = arguments.clone();
    let region = region_of("configured", RegionConfig::new("tests.recording").arguments(&arguments));
    assert_eq!(arguments, before);
    assert!(built_with(&region).contains("127.0.0.1"));
}

// DIFFERENCE: Python accepts unknown arguments, so a misspelled limit has no effect.

/// Behavior: `configure-accepts-unknown-arguments`
#[test]
fn unknown_argument_is_rejected_with_a_suggestion() {
    let region = CacheRegion::new("configured");
    let config = RegionConfig::new("dogpile.cache.memory").argument("max_entires", 5);
    let error = region.configure(config).unwrap_err();
    assert_eq!(
        told(&error).lines().last().unwrap(),
        "unknown argument \"max_entires\" (known: \"max_entries\", \"max_bytes\"); did you mean \"max_entries\"?"
    );
    assert!(!region.is_configured());
}

#[test]
fn document_configures_all_its_regions() {
    let document = r#"
        [regions.users]
        backend = "dogpile.cache.memory"
        key_mangler = "sha1"
        wrap = ["dogpile.proxy.logging", { name = "dogpile.proxy.key_prefix", arguments = { prefix = "u:" } }]
        arguments = { max_entries = 10 }

        [regions.none]
        backend = "dogpile.cache.null"
    "#;
    let configuration = Configuration::from_toml(document).unwrap();
    assert_eq!(configuration.region_names().collect::<Vec<_>>(), ["none", "users"]);
    let regions = configuration.regions().unwrap();
    regions["users"].set("key", 1).unwrap();
    let stored = format!("u:{}", dogpile::sha1_mangle_key("key"));
    assert!(regions["users"].actual_backend().unwrap().get(&stored).unwrap().is_some());
    assert_eq!(regions["none"].get_or_create("key", || 2).unwrap(), 2);
    assert!(regions.get("other").is_none());
    assert_eq!(regions.iter().map(CacheRegion::name).collect::<Vec<_>>(), ["none", "users"]);
}

#[test]
fn configuration_from_a_document_can_be_completed_in_code() {
    let document = "[regions.users]\nbackend = 'dogpile.cache.memory'\nserializer = 'json'";
    let config = Configuration::from_toml(document).unwrap().region_config("users").unwrap();
    expires_after(config.expiration_time(Duration::from_secs(5)), 5);
}

#[test]
fn regions_over_one_instance_share_their_values() {
    let store = Scripted::new();
    let [one, two] = [(); 2].map(|()| region_of("configured", RegionConfig::from_instance(store.clone())));
    one.set("key", 1).unwrap();
    assert_eq!(two.get("key").unwrap(), Some(1));
    let (store, actual): (Arc<dyn CacheBackend>, _) = (store, two.actual_backend().unwrap());
    assert!(Arc::ptr_eq(&store, &actual));
}

/// A document names what the application registered in code, and a clone of a registry is the same registry.
#[test]
fn document_uses_the_global_registry() {
    let registry = dogpile::Registry::global();
    registry
        .register_backend("tests.registered_in_code", |arguments| {
            let dogpile::sdk::NoArguments {} = arguments.parse()?;
            Ok(dogpile_tests::scripted::Scripted::new())
        })
        .unwrap();
    let document = "[regions.coded]\nbackend = \"tests.registered_in_code\"";
    let regions = Configuration::from_toml(document).unwrap().regions().unwrap();
    assert!(regions["coded"].is_configured());
    let other = Configuration::from_toml_with(document, dogpile::Registry::new()).unwrap();
    let error = other.regions().unwrap_err();
    assert_eq!((error.region(), error.setting(), error.line()), (Some("coded"), Some("backend"), Some(2)));
}

#[test]
fn rejected_argument_is_a_field_of_the_error() {
    let document =
        "\n[regions.a]\nbackend = \"dogpile.cache.memory\"\narguments = { max_entries = \"many\" }";
    let error = Configuration::from_toml(document).unwrap().regions().unwrap_err();
    assert_eq!((error.region(), error.argument(), error.line()), (Some("a"), Some("max_entries"), Some(4)));
    let error = Configuration::from_toml("[regions.a]\nbackend = \"x\"\nwrap = 5").unwrap_err();
    assert_eq!((error.region(), error.setting(), error.line()), (Some("a"), Some("wrap"), Some(3)));
}

/// A list of an ini file is one string; that of a TOML document is an array or one string.
#[test]
fn list_is_an_array_or_one_string() {
    let built = |config: RegionConfig| built_with(&region_of("configured", config));
    let expected = r#"Forgetful(Listed { nodes: ["a:1", "b:2"], weights: Some([3, 1]) })"#;
    let flat = [("backend", "tests.listed"), ("arguments.nodes", "a:1, b:2"), ("arguments.weights", "3,1")];
    assert_eq!(built(RegionConfig::from_flat(flat, "").unwrap()), expected);
    for arguments in [
        "nodes = 'a:1,b:2'\nweights = '3, 1'",
        "nodes = ['a:1', 'b:2']\nweights = [3, '1']",
        "nodes = '''\na:1\nb:2\n'''\nweights = '3,1,'",
    ] {
        let toml = format!("[regions.r]\nbackend = 'tests.listed'\n[regions.r.arguments]\n{arguments}");
        assert_eq!(built(Configuration::from_toml(&toml).unwrap().region_config("r").unwrap()), expected);
    }
    let one = [("backend", "tests.listed"), ("arguments.nodes", "a:1")];
    assert!(built(RegionConfig::from_flat(one, "").unwrap()).contains(r#"nodes: ["a:1"], weights: None"#));
}
