//! The tables of `docs/options.md`, which are made of the documentation of the structs that hold the options.

use std::fmt::Write;
use std::fs;

use crate::pages::root;
use crate::source::{Member, members};

/// What precedes the tables.
const MARK: &str = "<!-- The test `options_page_is_made_of_the_structs` writes what follows. -->\n";

const DOCUMENT: &str = "host/src/config/document.rs";
const SETTINGS: &str = "host/src/region/settings.rs";

/// The settings of a file whose documentation in code describes more than one way to give them.
const DESCRIBED_HERE: [(&str, &str); 3] = [
    ("backend", "Entry point of the backend. Required."),
    ("arguments", "Table of the arguments of the backend: see below. Default: none."),
    (
        "wrap",
        "Proxies, the outermost first: each is an entry point, or a table of its `name` and `arguments`. Default: none.",
    ),
];

/// Methods of `RegionConfig` that only give in code what a file gives under another name.
const ALSO_IN_FILES: [&str; 5] = ["new", "argument", "wrap_with", "key_mangler_named", "serializer_named"];

/// The structs of arguments: title, file, and first line of the struct.
const ARGUMENTS: [(&str, &str, &str); 13] = [
    ("`dogpile.cache.memory`, `dogpile.cache.memory_pickle`", "plugins/memory/src/config.rs", "MemoryConfig"),
    ("`dogpile.cache.dbm`", "plugins/dbm/src/config.rs", "DbmConfig"),
    ("`dogpile.cache.lmdb`", "plugins/dbm/src/config.rs", "LmdbConfig"),
    (
        "`dogpile.cache.redis`, `dogpile.cache.valkey`; with `_sentinel`, `_cluster`",
        "plugins/redis/src/config.rs",
        "RedisConfig",
    ),
    (
        "`connection_kwargs` and `sentinel_kwargs` of Redis",
        "plugins/redis/src/config/connection.rs",
        "ConnectionOptions",
    ),
    ("`socket_keepalive_options` of Redis", "plugins/redis/src/config/connection.rs", "KeepaliveOptions"),
    (
        "`dogpile.cache.memcached`, `dogpile.cache.pymemcache`, `dogpile.cache.pylibmc`, `dogpile.cache.bmemcached`",
        "plugins/memcached/src/config.rs",
        "MemcachedConfig",
    ),
    ("`behaviors` of `dogpile.cache.pylibmc`", "plugins/memcached/src/config/behaviors.rs", "Behaviors"),
    ("`tls_context` of memcached", "plugins/memcached/src/config/tls.rs", "TlsContext"),
    ("`socket_keepalive` of memcached", "plugins/memcached/src/config/keepalive.rs", "KeepaliveOptions"),
    ("`dogpile.proxy.logging`", "host/src/proxy/logging.rs", "LoggingConfig"),
    ("`dogpile.proxy.key_prefix`", "host/src/proxy/key_prefix.rs", "KeyPrefixConfig"),
    ("`dogpile.proxy.chaos`", "host/src/proxy/chaos/config.rs", "ChaosConfig"),
];

/// The enums whose variants a file gives as strings.
const NAMED_IN_FILES: [&str; 5] = ["OnBackendFailure", "OnCreatorFailure", "OnStale", "Preset", "Self"];

/// Removes the links of `docs`, and writes variants as they are written in a file.
fn plain(docs: &str) -> String {
    let mut text = String::new();
    let mut rest = docs;
    while let Some((before, linked)) = rest.split_once('[') {
        text.push_str(before);
        let (label, after) = linked.split_once(']').unwrap_or((linked, ""));
        if text.matches('`').count() % 2 == 1 {
            // Brackets in code are not a link.
            text.push('[');
            rest = linked;
            continue;
        }
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        text.push_str(&as_in_a_file(label, target.map_or(label, |(target, _)| target)));
        rest = target.map_or(after, |(_, after)| after);
    }
    text.push_str(rest);
    text.replace('|', "\\|")
}

/// Writes a link to the variant `OnStale::ServeAll` as `"serve_all"`, and any other link as its label.
fn as_in_a_file(label: &str, target: &str) -> String {
    match target.trim_matches('`').split_once("::") {
        Some((of, variant)) if NAMED_IN_FILES.contains(&of) && variant.starts_with(char::is_uppercase) => {
            format!("`\"{}\"`", snake_case(variant))
        }
        _ => label.to_owned(),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

/// Returns whether a file can give the option.
pub(crate) fn is_in_files(member: &Member) -> bool {
    !member.docs.contains("Set in code only")
}

/// Splits the default off a documentation, and turns the sentence of a builder method into a noun phrase.
pub(crate) fn split_default(docs: &str) -> (String, String) {
    let text = plain(docs);
    let text = text.strip_prefix("Sets ").map_or(text.clone(), |rest| {
        let mut chars = rest.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
    });
    if let Some((before, after)) = text.split_once("Required.") {
        return ("required".to_owned(), joined(before, after));
    }
    let Some((before, rest)) = text.split_once("Default: ") else { return (String::new(), text) };
    let end = rest.find(". ").or_else(|| rest.strip_suffix('.').map(str::len)).unwrap_or(rest.len());
    let (default, after) = rest.split_at(end);
    (default.to_owned(), joined(before, after.trim_start_matches('.')))
}

fn joined(before: &str, after: &str) -> String {
    format!("{} {}", before.trim(), after.trim()).trim().to_owned()
}

fn table(text: &mut String, head: &str, members: impl IntoIterator<Item = Member>) {
    writeln!(text, "| {head} | default | meaning |\n|---|---|---|").unwrap();
    for Member { name, docs } in members {
        assert!(!docs.is_empty(), "{name} has no documentation");
        let (default, meaning) = split_default(&docs);
        writeln!(text, "| `{name}` | {default} | {meaning} |").unwrap();
    }
}

fn variants(text: &mut String, setting: &str, file: &str, name: &str) {
    writeln!(text, "\n### Values of `{setting}`\n\n| value | meaning |\n|---|---|").unwrap();
    for Member { name, docs } in members(file, &format!("pub enum {name} {{")) {
        let value = snake_case(&name);
        let value = if value == "wait_at_most" {
            format!("{{ {value} = \"200ms\" }}")
        } else {
            format!("\"{value}\"")
        };
        writeln!(text, "| `{value}` | {} |", plain(&docs)).unwrap();
    }
}

fn parts(text: &mut String, setting: &str, file: &str, name: &str) {
    writeln!(text, "\n### Parts of `{setting}`\n").unwrap();
    table(text, "part", members(file, &format!("pub struct {name} {{")));
}

/// Returns the settings of a region in a file, with the documentation of the methods that set them in code.
fn settings_in_a_file(methods: &[Member]) -> Vec<Member> {
    let documented = |name: &str| {
        let here =
            DESCRIBED_HERE.iter().find(|(setting, _)| *setting == name).map(|(_, docs)| (*docs).to_owned());
        let method = |name: &str| methods.iter().find(|method| method.name == name);
        let docs = here.or_else(|| Some(method(&format!("{name}_named")).or(method(name))?.docs.clone()));
        Member { name: name.to_owned(), docs: docs.unwrap_or_default() }
    };
    let fields = members(DOCUMENT, "pub(super) struct RegionTable {");
    fields.iter().map(|field| documented(&field.name)).collect()
}

fn tables() -> String {
    let mut text = String::new();
    let methods = members(SETTINGS, "impl RegionConfig {");
    let in_files = settings_in_a_file(&methods);

    text.push_str("\n## A region\n\n");
    table(&mut text, "setting", in_files.clone());
    variants(&mut text, "preset", "host/src/policy/preset.rs", "Preset");
    variants(&mut text, "stale", "host/src/policy/on_stale.rs", "OnStale");
    variants(&mut text, "on_creator_failure", "host/src/policy/on_creator_failure.rs", "OnCreatorFailure");
    variants(&mut text, "on_backend_failure", "host/src/policy/on_backend_failure.rs", "OnBackendFailure");
    parts(&mut text, "fail_safe", "host/src/policy/fail_safe.rs", "FailSafe");
    parts(&mut text, "creator_timeout", "host/src/policy/creator_timeout.rs", "CreatorTimeout");
    parts(&mut text, "breaker", "host/src/outage/config.rs", "BreakerConfig");

    text.push_str("\n## A region, in code only\n\nMethods of `RegionConfig`:\n\n");
    let in_code = |method: &Member| {
        let also = ALSO_IN_FILES.contains(&method.name.as_str());
        !method.docs.is_empty() && !also && !in_files.iter().any(|setting| setting.name == method.name)
    };
    table(&mut text, "method", methods.iter().filter(|method| in_code(method)).cloned());

    text.push_str("\n## One call\n\nMethods of `CallOptions`, which `region.options()` returns:\n\n");
    let public = members("host/src/region/call_options.rs", "impl<'r> CallOptions<'r> {");
    table(
        &mut text,
        "method",
        public.into_iter().filter(|method| !method.docs.starts_with("Returns") && !method.docs.is_empty()),
    );

    text.push_str("\n## The table `[plugins]`\n\n");
    table(&mut text, "setting", members(DOCUMENT, "pub(super) struct PluginsTable {"));

    text.push_str("\n## The table `[statistics]`\n\n");
    table(&mut text, "setting", members(DOCUMENT, "pub(super) struct StatisticsTable {"));

    text.push_str("\n## Arguments of backends and proxies\n");
    for (title, file, name) in ARGUMENTS {
        writeln!(text, "\n### {title}\n").unwrap();
        let arguments = members(file, &format!("pub struct {name} {{"));
        table(&mut text, "argument", arguments.into_iter().filter(is_in_files));
    }
    text
}

#[test]
fn options_page_is_made_of_the_structs() {
    let path = root().join("docs/options.md");
    let page = fs::read_to_string(&path).unwrap();
    let (introduction, written) = page.split_once(MARK).unwrap();
    let expected = tables();
    if std::env::var_os("DOGPILE_TESTS_REWRITE").is_some() {
        fs::write(&path, format!("{introduction}{MARK}{expected}")).unwrap();
    } else {
        assert!(
            written == expected,
            "docs/options.md is outdated; run this test with DOGPILE_TESTS_REWRITE=1"
        );
    }
}

#[test]
fn defaults_and_links_are_split_off() {
    let (default, meaning) =
        split_default("Sets what callers get. Default: [`OnStale::ServeAll`]. See [it](x::Y).");
    assert_eq!((default.as_str(), meaning.as_str()), ("`\"serve_all\"`", "What callers get. See it."));
    let (default, meaning) =
        split_default("Serves `[address]:port` like [`Serve`](Self::Serve), or [`X::Y`].");
    assert_eq!(
        (default.as_str(), meaning.as_str()),
        ("", "Serves `[address]:port` like `\"serve\"`, or `X::Y`.")
    );
    let (default, meaning) = split_default("Pause. Default: 0.1.");
    assert_eq!((default.as_str(), meaning.as_str()), ("0.1", "Pause."));
}
