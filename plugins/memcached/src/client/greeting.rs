//! The greeting of a connection in the text protocols, which detects the server's commands.

use super::protocol::{Dialect, Invalid};

/// The request whose reply is a line with the version of the server.
pub(crate) const GREETING: &[u8] = b"version\r\n";

/// Returns the protocol of a server from its reply to the greeting.
///
/// Older servers have other commands by the names of the meta commands.
pub(crate) fn dialect(line: &[u8]) -> Result<Dialect, Invalid> {
    match line.strip_prefix(b"VERSION ") {
        Some(version) if knows_meta(version) => Ok(Dialect::Meta),
        Some(_) => Ok(Dialect::Classic),
        // Some proxies do not support `version`.
        None if line.starts_with(b"ERROR") => Ok(Dialect::Classic),
        None => Err(Invalid::Kind),
    }
}

/// Returns whether a server of `version` has the final meta commands, which appeared in 1.6.10.
fn knows_meta(version: &[u8]) -> bool {
    let version = String::from_utf8_lossy(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    [next(), next(), next()] >= [1, 6, 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_meta_commands_need_version_1_6_10() {
        for (version, expected) in [
            ("1.4.15", Dialect::Classic),
            ("1.6.9", Dialect::Classic),
            ("1.6.10", Dialect::Meta),
            ("1.6.18", Dialect::Meta),
            ("1.6.38_beta", Dialect::Meta),
            ("2", Dialect::Meta),
            ("unknown", Dialect::Classic),
        ] {
            assert_eq!(dialect(format!("VERSION {version}").as_bytes()), Ok(expected), "{version}");
        }
        assert_eq!(dialect(b"ERROR"), Ok(Dialect::Classic));
        assert_eq!(dialect(b"STORED"), Err(Invalid::Kind));
    }
}
