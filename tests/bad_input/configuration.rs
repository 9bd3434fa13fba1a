//! Invalid documents, flat settings, and arguments.

use dogpile::{CacheRegion, Configuration, Expiration, RegionConfig};

use dogpile_tests::errors::told;

use super::says;

fn document_error(document: &str) -> String {
    told(&Configuration::from_toml(document).unwrap_err())
}

/// Returns the error of a document with one region that has `settings` besides its backend.
fn region_error(settings: &str) -> String {
    document_error(&format!("[regions.users]\nbackend = \"dogpile.cache.memory\"\n{settings}"))
}

#[test]
fn malformed_document_is_rejected_with_line_and_column() {
    says(&document_error("[regions.users\nbackend = 1"), &["the configuration, line 1, column 15: "]);
    says(&document_error("[regions.users]\nbackend = "), &["line 2, column 11: "]);
    says(
        &document_error("[regions.users]\nbackend = \"a\"\nbackend = \"b\""),
        &["line 3, column 1: ", "duplicate key"],
    );
    says(&document_error("\u{0}"), &["line 1, column "]);
    says(&document_error("regions = 5"), &["line 1, column 11: ", "integer `5`", "expected a table"]);
}

#[test]
fn value_of_the_wrong_type_is_rejected_with_the_expected_type() {
    let cases = [
        ("key_mangler = 5", "expected a string"),
        ("serializer = [1]", "expected a string"),
        ("mangle_invalid_keys = \"yes\"", "expected a boolean"),
        ("arguments = 5", "expected a table"),
        ("wrap = 5", "expected a proxy, or a list of proxies"),
        ("wrap = [5]", "expected the name of a proxy, or a table of `name` and `arguments`"),
        ("wrap = [{ arguments = {} }]", "expected the name of a proxy, or a table of `name` and `arguments`"),
        (
            "wrap = [{ name = \"x\", arguments = 1 }]",
            "expected the name of a proxy, or a table of `name` and `arguments`",
        ),
        (
            "expiration_time = true",
            "expected an expiration time: a number of seconds, a duration such as \"5m\"",
        ),
        ("expiration_time = [5]", "expected an expiration time"),
    ];
    for (settings, expected) in cases {
        says(&region_error(settings), &["the configuration, line 3, column ", expected]);
    }
    says(&document_error("[regions.users]\nbackend = 5"), &["line 2, column 11: ", "expected a string"]);
    says(&document_error("[plugins]\npath = 5"), &["line 2, column 8: ", "expected a list"]);
}

#[test]
fn unknown_name_is_rejected_with_a_suggestion() {
    says(&region_error("expiraton_time = 5"), &["line 3, column 1: ", "did you mean \"expiration_time\"?"]);
    says(
        &region_error("max_entries = 5"),
        &["line 3, column 1: ", "unknown field `max_entries`", "`arguments`"],
    );
    says(&document_error("[region.users]"), &["unknown field `region`", "did you mean \"regions\"?"]);
    says(
        &document_error("[plugins]\npaths = []"),
        &["line 2, column 1: ", "unknown field `paths`", "`path`"],
    );
    says(
        &document_error("[regions.users]\nwrap = []"),
        &["line 1, column 1: ", "missing field `backend`; add it, such as backend = "],
    );
}

#[test]
fn invalid_expiration_is_rejected_from_every_source() {
    let expected = ": expected seconds (0 or more), a duration such as \"5m\", or -1 for never";
    for given in
        ["-5", "-0.5", "nan", "inf", "-inf", "1e300", "\"one hour\"", "\"\"", "\"-5\"", "\"5 parsecs\""]
    {
        let toml = region_error(&format!("expiration_time = {given}"));
        says(&toml, &["the configuration, line 3, column 19: ", "invalid expiration time ", expected]);
        let text = given.trim_matches('"');
        let flat = [("p.backend", "dogpile.cache.memory"), ("p.expiration_time", text)];
        let error = told(&RegionConfig::from_flat(flat, "p.").unwrap_err());
        says(&error, &[&format!("p.expiration_time = {text:?}: "), expected]);
    }
    for seconds in [-5.0, -0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        says(&told(&Expiration::from_seconds(seconds).unwrap_err()), &[&seconds.to_string(), expected]);
    }
}

#[test]
fn unreadable_or_malformed_file_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml");
    let error = told(&Configuration::from_file(&absent).unwrap_err());
    says(&error, &["the configuration", "absent.toml", "cannot be read", "No such file"]);
    let malformed = folder.path().join("malformed.toml");
    std::fs::write(&malformed, "[regions.users]\nbackend = \n").unwrap();
    says(&told(&Configuration::from_file(&malformed).unwrap_err()), &["malformed.toml, line 2, column 11: "]);
    std::fs::write(&malformed, b"\xff\xfe").unwrap();
    says(&told(&Configuration::from_file(&malformed).unwrap_err()), &["malformed.toml", "UTF-8"]);
    says(&told(&Configuration::from_file(folder.path()).unwrap_err()), &["cannot be read"]);
}

/// An ini file has one string for all proxies, too.
#[test]
fn wrap_accepts_one_string() {
    let document = "[regions.a]\nbackend = 'dogpile.cache.memory'\nwrap = 'dogpile.proxy.readonly, dogpile.proxy.logging'";
    let regions = Configuration::from_toml(document).unwrap().regions().unwrap();
    assert!(format!("{:?}", regions["a"].backend().unwrap()).contains("ReadOnly"));
    let error = told(
        &Configuration::from_toml(&document.replace("logging", "loging")).unwrap().regions().unwrap_err(),
    );
    says(&error, &["line 3: region \"a\"", "did you mean \"dogpile.proxy.logging\"?"]);
}

/// The line is that of the argument or setting, not of the region.
#[test]
fn rejected_region_is_reported_with_the_line_of_its_argument() {
    let rejected = |settings: &str| {
        let document = format!("[regions.a]\nbackend = \"dogpile.cache.memory\"\n{settings}");
        let error = Configuration::from_toml(&document).unwrap().regions().unwrap_err();
        (error.line(), error.argument().map(str::to_owned), told(&error))
    };
    for settings in ["\narguments = { max_entries = -5 }", "[regions.a.arguments]\nmax_entries = -5"] {
        let (line, argument, text) = rejected(settings);
        assert_eq!((line, argument.as_deref()), (Some(4), Some("max_entries")), "{text}");
        says(&text, &["the configuration, line 4: region \"a\"", "found -5"]);
    }
    assert_eq!(rejected("serializer = \"yaml\"").0, Some(3));
    assert_eq!(rejected("\nwrap = [\n\"dogpile.proxy.key_prefix\"]").0, Some(4));
}

/// The error lists the regions that the document configures.
#[test]
fn region_missing_from_a_document_is_rejected() {
    let document = "[regions.users]\nbackend = \"dogpile.cache.memory\"\n[regions.orders]\nbackend = \"x\"";
    let configuration = Configuration::from_toml(document).unwrap();
    let region = CacheRegion::new("user");
    let error = told(&configuration.configure(&region).unwrap_err());
    let expected = "the configuration configures no region \"user\" (configured: orders, users); did you mean \"users\"?";
    assert_eq!(error, expected);
    assert!(!region.is_configured());
    let error = told(&configuration.regions().unwrap_err());
    says(&error, &["region \"orders\" could not be configured", "unknown backend \"x\""]);
}

fn flat_error(name: &str, value: &str) -> String {
    let flat = [("p.backend", "dogpile.cache.memory"), (name, value)];
    told(&RegionConfig::from_flat(flat, "p.").unwrap_err())
}

#[test]
fn errors_in_flat_settings_include_the_prefix() {
    assert_eq!(
        flat_error("p.expiraton_time", "5"),
        "p.expiraton_time = \"5\": unknown name (known: backend, expiration_time, key_mangler, serializer, \
         mangle_invalid_keys, creation_wait_timeout, statistics, wrap, arguments.NAME, preset, jitter, early_refresh, max_stale, stale, \
         stale.wait_at_most, fail_safe.max_age, fail_safe.throttle, creator_timeout.soft, creator_timeout.hard, \
         on_creator_failure, on_backend_failure, breaker.failures, breaker.open_for); did you mean \"expiration_time\"?"
    );
    says(&flat_error("p.", "5"), &["p. = \"5\": unknown name"]);
    let neither = "p.mangle_invalid_keys = \"yes\": expected true or false";
    assert_eq!(flat_error("p.mangle_invalid_keys", "yes"), neither);
    for without in [vec![], vec![("p.backend", "None")], vec![("q.backend", "dogpile.cache.memory")]] {
        let error = told(&RegionConfig::from_flat(without, "p.").unwrap_err());
        assert_eq!(error, "p.backend = \"\": the entry is missing; set it to the entry point of a backend");
    }
}

/// Returns the error of a region configured with `config`, after checking that the region stays unconfigured.
fn refused(config: RegionConfig) -> String {
    let region = CacheRegion::new("users");
    let error = told(&region.configure(config).unwrap_err());
    assert!(!region.is_configured());
    assert!(error.starts_with("region \"users\""), "{error}");
    error
}

fn memory() -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory")
}

/// The error names the backend and the argument.
#[test]
fn invalid_backend_arguments_are_rejected() {
    let built = "backend \"dogpile.cache.memory\" of the linked crate dogpile-memory";
    for (given, expected) in [
        ("many", "\"many\" is not a number"),
        ("-1", "found -1; expected a whole number, 0 or more"),
        ("1.5", "found 1.5; expected a whole number, 0 or more"),
        ("", "\"\""),
    ] {
        let flat = [("backend", "dogpile.cache.memory"), ("arguments.max_entries", given)];
        let error = refused(RegionConfig::from_flat(flat, "").unwrap());
        says(&error, &[built, "could not be built", "invalid argument \"max_entries\": ", expected]);
    }
    says(&refused(memory().argument("max_entries", 0)), &[built, "\"max_entries\"", "use at least 1"]);
    says(
        &refused(memory().argument("max_entries", [1])),
        &["invalid argument \"max_entries\": found a list; expected a whole number, 0 or more"],
    );
    says(&refused(memory().arguments(5)), &["invalid arguments 5: expected a table of names and values"]);
    let null = refused(RegionConfig::new("dogpile.cache.null").argument("max_entries", 1));
    says(&null, &["unknown argument \"max_entries\" (known: none)"]);
    let instance = RegionConfig::from_instance(dogpile_tests::scripted::Scripted::new());
    says(&refused(instance.argument("a", 1)), &["cannot set arguments: no entry point is named"]);
}

/// The error suggests the nearest name and lists the known ones.
#[test]
fn unknown_entry_points_and_other_names_are_rejected() {
    let backend = refused(RegionConfig::new("dogpile.cache.memroy"));
    says(&backend, &["unknown backend \"dogpile.cache.memroy\"; did you mean \"dogpile.cache.memory\"?"]);
    says(&backend, &["known: ", "dogpile.cache.null", "plugin folders searched: none"]);
    let proxy = refused(memory().wrap("dogpile.proxy.loging"));
    says(&proxy, &["unknown proxy \"dogpile.proxy.loging\"; did you mean \"dogpile.proxy.logging\"?"]);
    let mixed_up = refused(memory().wrap("dogpile.cache.null"));
    says(&mixed_up, &["\"dogpile.cache.null\"", "it is a backend; name it as `backend`"]);
    let mangler = refused(memory().key_mangler_named("sha2"));
    says(&mangler, &["unknown key mangler \"sha2\" (known: [\"sha1\"]); did you mean \"sha1\"?"]);
    let python = refused(memory().key_mangler_named("dogpile.cache.util.sha1_mangle_key"));
    says(&python, &["did you mean \"sha1\"?"]);
    let python = refused(memory().key_mangler_named("myapp.length_conditional_mangler"));
    says(&python, &["keys that are too long are mangled by default"]);
    says(&refused(memory().serializer_named("json.dumps")), &["did you mean \"json\"?"]);
    says(&refused(memory().wrap("myapp.LoggingProxy")), &["did you mean \"dogpile.proxy.logging\"?"]);
    says(
        &refused(memory().wrap("myapp.MyProxy")),
        &["a class of Python cannot be used: write the proxy in Rust"],
    );
    let short = refused(RegionConfig::new("redis"));
    says(&short, &["unknown backend \"redis\"; did you mean \"dogpile.cache.redis\"?"]);
    let serializer = refused(memory().serializer_named("jsno"));
    says(&serializer, &["unknown serializer \"jsno\"", "msgpack", "did you mean \"json\"?"]);
    says(&refused(RegionConfig::default()), &["no backend is named; set \"backend\" to an entry point"]);
}

#[test]
fn invalid_proxy_arguments_are_rejected() {
    says(
        &refused(memory().wrap("dogpile.proxy.key_prefix")),
        &["key_prefix", "missing argument \"prefix\"; add it, such as"],
    );
    let form = "write it as { name = \"dogpile.proxy.key_prefix\", arguments = { prefix = ... } }";
    says(&refused(memory().wrap("dogpile.proxy.key_prefix")), &[form]);
    let empty = memory().wrap_with("dogpile.proxy.key_prefix", [("prefix", "")].into_iter().collect::<Map>());
    says(&refused(empty), &["invalid argument \"prefix\": it is empty; set at least one character"]);
    let unknown = memory().wrap_with("dogpile.proxy.logging", [("lable", "x")].into_iter().collect::<Map>());
    says(&refused(unknown), &["unknown argument \"lable\" (known: \"label\"); did you mean \"label\"?"]);
    says(
        &refused(memory().wrap_with("dogpile.proxy.readonly", 5)),
        &["invalid arguments 5: expected a table of names and values"],
    );
}

type Map = std::collections::BTreeMap<&'static str, &'static str>;

#[test]
fn secret_argument_is_hidden_in_errors_and_debug_output() {
    let config = memory().argument("password", "open sesame");
    assert!(!format!("{config:?}").contains("sesame"));
    assert!(!refused(config).contains("sesame"));
    let flat = [("backend", "dogpile.cache.memory"), ("arguments.password", "open sesame")];
    assert!(!refused(RegionConfig::from_flat(flat, "").unwrap()).contains("sesame"));
    let document =
        "[regions.users]\nbackend = \"dogpile.cache.memory\"\narguments = { password = \"open sesame\" }";
    let configuration = Configuration::from_toml(document).unwrap();
    assert!(!format!("{configuration:?}").contains("sesame"));
}
