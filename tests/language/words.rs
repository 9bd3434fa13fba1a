//! The words that no text contains.

/// Words and phrases, in lower case. A star stands for any ending, and a final period or comma is part of a phrase.
const BANNED: &[&str] = &[
    "answers",
    "answered",
    "answering",
    "anybody",
    "nobody",
    "everybody",
    "somebody",
    "whoever",
    "told",
    "tells",
    "tell",
    "ask for",
    "asks for",
    "asked for",
    "asking for",
    "all the same",
    "as there.",
    "blank",
    "but for",
    "door",
    "doors",
    "for ever",
    "goes by",
    "go by",
    "in vain",
    "of what",
    "none the less",
    "nonetheless",
    "overruled",
    "truth value",
    "truth values",
    "stands in",
    "stands still",
    "anew",
    "upon",
    "lest",
    "thereof",
    "hither",
    "serialis*",
    "deserialis*",
    "behaviour*",
    "colour*",
    "honour*",
    "favour*",
];

/// Verbs that do not come before "no", except in "there is no" and "is there no".
const BE: &[&str] = &["is", "are", "was", "were", "be"];
/// What may follow "is no".
const AFTER_NO: &[&str] = &["longer", "more", "less", "fewer"];

/// Returns the banned words of `text`, each with the number of line breaks before it.
pub(crate) fn banned(text: &str) -> impl Iterator<Item = (usize, String)> {
    let words = words(text);
    let found = |at: usize| {
        let rest = &words[at..];
        let phrase = BANNED.iter().find_map(|phrase| matched(phrase, rest));
        phrase.or_else(|| negated(&words, at)).map(|phrase| (rest[0].line, phrase))
    };
    (0..words.len()).filter_map(found).collect::<Vec<_>>().into_iter()
}

/// One word of a text, in lower case.
#[derive(Debug)]
struct Word {
    line: usize,
    letters: String,
    /// The character that follows it.
    next: Option<char>,
}

fn words(text: &str) -> Vec<Word> {
    let (mut words, mut line) = (Vec::<Word>::new(), 0);
    let mut within = false;
    for c in text.chars() {
        let letter = c.is_alphanumeric();
        if letter && !within {
            words.push(Word { line, letters: String::new(), next: None });
        }
        if let Some(word) = words.last_mut() {
            if letter {
                word.letters.extend(c.to_lowercase());
            } else if within {
                word.next = Some(c);
            }
        }
        line += usize::from(c == '\n');
        within = letter;
    }
    words
}

/// Returns the words that `phrase` matches at the head of `rest`.
fn matched(phrase: &str, rest: &[Word]) -> Option<String> {
    if phrase.as_bytes()[0] != rest[0].letters.as_bytes()[0] {
        return None;
    }
    let end = phrase.chars().last().filter(|end| [',', '.'].contains(end));
    let parts: Vec<&str> = phrase.trim_end_matches([',', '.']).split(' ').collect();
    let rest = rest.get(..parts.len())?;
    let same = |(word, part): (&Word, &&str)| match part.strip_suffix('*') {
        Some(head) => word.letters.starts_with(head),
        None => word.letters == *part,
    };
    let ends = end.is_none() || rest.last()?.next == end;
    (ends && rest.iter().zip(&parts).all(same))
        .then(|| joined(rest) + &end.map_or_else(String::new, String::from))
}

/// Returns "is no …" at `at`, if it is not "there is no", "is there no", or "is no longer".
fn negated(words: &[Word], at: usize) -> Option<String> {
    let [be, no, noun] = words.get(at..at + 3)? else { return None };
    let there = at.checked_sub(1).is_some_and(|before| words[before].letters == "there");
    let allowed =
        there || AFTER_NO.contains(&noun.letters.as_str()) || be.next != Some(' ') && be.next != Some('\n');
    (BE.contains(&be.letters.as_str()) && no.letters == "no" && !allowed).then(|| joined(&words[at..at + 3]))
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.letters.as_str()).collect::<Vec<_>>().join(" ")
}
