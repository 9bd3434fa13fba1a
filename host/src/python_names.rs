//! [`meant`]: the name of ours that a short name or a name of Python means.

/// Returns the one of `known` whose last part `name` contains as words.
///
/// `redis` means `dogpile.cache.redis`, `myapp.LoggingProxy` means `dogpile.proxy.logging`, and `json.dumps` means `json`.
/// If several fit, the one with the most words is returned.
pub(crate) fn meant<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given = words(name);
    let fitting = known.into_iter().filter_map(|known| {
        let wanted = words(known.rsplit('.').next().unwrap_or(known));
        let is_contained = !wanted.is_empty() && given.windows(wanted.len()).any(|part| part == wanted);
        is_contained.then_some((wanted.len(), known))
    });
    fitting.max_by_key(|(length, _)| *length).map(|(_, known)| known)
}

/// Returns whether `name` looks like the path of a class in Python, such as `myapp.LoggingProxy`.
pub(crate) fn is_class(name: &str) -> bool {
    let last = name.rsplit(['.', ':']).next().unwrap_or_default();
    last.len() < name.len() && last.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Returns the words of `name` in lower case. A capital letter begins a word.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || character.is_uppercase() && was_lower;
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        was_lower = !character.is_uppercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] =
        ["dogpile.cache.redis", "dogpile.cache.redis_sentinel", "dogpile.proxy.logging", "json", "sha1"];

    #[test]
    fn short_and_python_names_mean_ours() {
        for (name, expected) in [
            ("redis", "dogpile.cache.redis"),
            ("dogpile.cache.backends.redis:RedisSentinelBackend", "dogpile.cache.redis_sentinel"),
            ("myapp.LoggingProxy", "dogpile.proxy.logging"),
            ("json.dumps", "json"),
            ("dogpile.cache.util.sha1_mangle_key", "sha1"),
        ] {
            assert_eq!(meant(name, KNOWN), Some(expected), "{name}");
        }
        for name in ["", "acme.shelf", "jsonish", "rediss", "dogpile.cache"] {
            assert_eq!(meant(name, KNOWN), None, "{name}");
        }
    }

    #[test]
    fn classes_are_recognized() {
        assert!(is_class("myapp.LoggingProxy") && is_class("myapp:Proxy"));
        assert!(!is_class("dogpile.proxy.logging") && !is_class("Logging") && !is_class(""));
    }
}
