//! "Did you mean": the known name that is nearest to a mistyped one.

/// Returns the known name that is nearest to `name`, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(this, _), (that, _)| this.total_cmp(that))
        .map(|(_, candidate)| candidate)
}

/// Returns `; did you mean "…"?` with the nearest of `known`, or nothing. It ends the text of an error.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_suggested_unless_it_is_far() {
        let known = ["dogpile.cache.memory", "dogpile.cache.null"];
        assert_eq!(nearest("dogpile.cache.memroy", known), Some("dogpile.cache.memory"));
        assert_eq!(did_you_mean("acme", known), "");
    }
}
