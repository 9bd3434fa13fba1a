//! How long a first sentence and the name of a test may be.

/// The most words of the first sentence of public documentation.
const WORDS: usize = 15;
/// The most characters of the name of a test.
const CHARACTERS: usize = 60;

/// Returns an objection if the first sentence of `docs` is too long.
pub(crate) fn long_first_sentence(docs: &str) -> Option<String> {
    let paragraph = docs.lines().take_while(|line| !line.trim().is_empty());
    let mut count = 0;
    for word in paragraph.flat_map(str::split_whitespace) {
        count += usize::from(word.contains(|c: char| c.is_alphanumeric()));
        if word.ends_with(['.', '!', '?']) {
            break;
        }
    }
    (count > WORDS).then(|| format!("the first sentence has {count} words, not {WORDS}"))
}

/// Returns an objection if `name`, that of a test, is too long.
pub(crate) fn long_name(name: &str) -> Option<String> {
    let count = name.chars().count();
    (count > CHARACTERS).then(|| format!("the name of the test has {count} characters, not {CHARACTERS}"))
}
