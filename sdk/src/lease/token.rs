//! The tokens of locks.

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::time::SystemTime;

/// Returns 32 hexadecimal digits that no other call returned, in this process or another.
pub(super) fn new_token() -> String {
    // A forked child has a copy of its parent's random state. The process ID and the time make the tokens differ.
    let digits = || RandomState::new().hash_one((process::id(), SystemTime::now()));
    format!("{:016x}{:016x}", digits(), digits())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_differ_and_have_32_digits() {
        let tokens: HashSet<String> = (0..10_000).map(|_| new_token()).collect();
        assert_eq!(tokens.len(), 10_000);
        let is_token =
            |token: &String| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(tokens.iter().all(is_token));
    }
}
