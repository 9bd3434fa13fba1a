//! [`shell_word`]: a path as a word of a shell command.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns `path` as one word of a shell command, in quotes if they are needed.
///
/// A path with control characters, or that is not UTF-8, gets the form `$'...'`, which newer shells know.
pub(crate) fn shell_word(path: &Path) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(is_plain) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escaped(path.as_os_str().as_bytes()),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => word.push(char::from(*byte)),
            // Octal, because a digit after hexadecimal ones would be read as one more. Writing to a string cannot fail.
            _ => drop(write!(word, "\\{byte:03o}")),
        }
    }
    word + "'"
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn plain_path_needs_no_quotes() {
        assert_eq!(shell_word(Path::new("/srv/a-b_1.d")), "/srv/a-b_1.d");
        assert_eq!(shell_word(Path::new("/srv/my plugins")), "'/srv/my plugins'");
        assert_eq!(shell_word(Path::new("/it's;ä")), r"'/it'\''s;ä'");
        assert_eq!(shell_word(Path::new(OsStr::from_bytes(b"/a\xff1'\n"))), r"$'/a\3771\'\012'");
    }

    #[test]
    fn word_means_the_path_to_a_shell() {
        for bytes in
            [&b"/a b"[..], b"/$(x)`y`\"*?~!", b"it's", b"\\", b"", "/\u{e4}".as_bytes(), b"/\x1b\xff7'\\\n"]
        {
            let word = shell_word(Path::new(OsStr::from_bytes(bytes)));
            let Ok(shown) = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output() else {
                return;
            };
            assert_eq!(shown.stdout, bytes, "{word}");
        }
    }
}
