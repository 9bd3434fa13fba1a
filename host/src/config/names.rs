//! [`names`]: a list of names in one string.

/// Returns names that commas or whitespace separate.
pub(super) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty())
}
