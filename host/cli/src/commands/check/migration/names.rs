//! Names of Python that have no meaning here, or another name.

/// Settings of dogpile.cache and `pyramid_dogpile_cache` that a configuration cannot have here, and why.
const MEANINGLESS: [(&str, &str); 5] = [
    ("function_key_generator", "the keys of cached functions are set in code, with `cache_on_arguments`"),
    ("async_creation_runner", "it is set in code, with `RegionConfig::async_creation_runner`"),
    ("replace_existing_backend", "it is set in code, with `RegionConfig::replace_existing_backend`"),
    ("name", "the table of a region has its name"),
    ("_lazy", "the application decides when a region is opened"),
];

/// Functions of Python, and our names for them.
const FUNCTIONS: [(&str, &str, &str); 7] = [
    ("key_mangler", "dogpile.cache.util.sha1_mangle_key", "sha1"),
    ("key_mangler", "dogpile.cache.util:sha1_mangle_key", "sha1"),
    ("serializer", "json.dumps", "json"),
    ("serializer", "pickle.dumps", "pickle"),
    ("serializer", "json", "json"),
    ("serializer", "pickle", "pickle"),
    ("serializer", "msgpack.packb", "msgpack"),
];

/// Returns why the setting `name` has no meaning here, if it has none.
pub(super) fn why_meaningless(name: &str) -> Option<&'static str> {
    MEANINGLESS.iter().find(|(theirs, _)| *theirs == name).map(|(_, why)| *why)
}

/// Returns our name for the Python function `value` of the setting `name`, if it has another one.
pub(super) fn ours(name: &str, value: &str) -> Option<&'static str> {
    let found = FUNCTIONS.iter().find(|(setting, theirs, _)| (*setting, *theirs) == (name, value));
    found.map(|(.., ours)| *ours).filter(|ours| *ours != value)
}
