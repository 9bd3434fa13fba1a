//! Stores that check in the same step that their creator's lock is still held.

use std::time::Duration;

use dogpile_sdk::{BytesEntry, Fence};

use crate::command::Command;

/// Stores each value whose lock still has the token of its creator, and returns how many were stored.
///
/// A lock and its value are two keys. For each value there are three arguments: the token, the value, and its lifetime
/// in milliseconds, which is 0 for a value that does not expire.
const STORE: &str = "local stored = 0
for place = 1, #KEYS / 2 do
  local token, value, lifetime = ARGV[place * 3 - 2], ARGV[place * 3 - 1], ARGV[place * 3]
  if redis.call('get', KEYS[place * 2 - 1]) == token then
    if lifetime == '0' then
      redis.call('set', KEYS[place * 2], value)
    else
      redis.call('set', KEYS[place * 2], value, 'PX', lifetime)
    end
    stored = stored + 1
  end
end
return stored";

/// Creates the token that proves that the lock `name` still has `token`.
pub(crate) fn fence(name: &str, token: &str) -> Fence {
    // A token consists of hexadecimal digits, so that the last space separates the two.
    Fence::new(format!("{name} {token}").into_bytes())
}

/// Returns the lock's name and token, or `None` if another kind of backend made the fence.
fn read(fence: &Fence) -> Option<(&str, &str)> {
    std::str::from_utf8(fence.as_bytes()).ok()?.rsplit_once(' ')
}

/// Creates the command that stores `entries`, each with its lifetime. All of them have a fence.
///
/// An entry whose fence is unreadable is not stored: nothing has the empty name and the empty token.
pub(crate) fn store<'k>(entries: &[(&BytesEntry<'k>, Option<Duration>)]) -> Option<Command<'k>> {
    let (first, _) = entries.first()?;
    let (mut names, mut arguments) = (Vec::new(), Vec::new());
    for (entry, lifetime) in entries {
        let (name, token) = entry.options.fence.as_ref().and_then(read).unwrap_or_default();
        names.push((name, entry.key));
        arguments.push((token, entry.value, lifetime.map_or(0, milliseconds)));
    }
    let script = Command::script_of(STORE, first.key, &names);
    Some(
        arguments
            .into_iter()
            .fold(script, |script, (token, value, lifetime)| script.arg(token).arg(value).arg(lifetime)),
    )
}

/// Returns whole milliseconds, rounded up. The server accepts no lifetime of 0.
pub(crate) fn milliseconds(lifetime: Duration) -> u64 {
    let rounded = lifetime.as_nanos().div_ceil(1_000_000).max(1);
    // The server adds the time of day, and rejects a sum that is too large.
    u64::try_from(rounded).unwrap_or(u64::MAX).min(1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fence_is_read_back() {
        let made = fence("_lock with spaces", "0123abcd");
        assert_eq!(read(&made), Some(("_lock with spaces", "0123abcd")));
        assert_eq!(read(&Fence::new(&b"\xff"[..])), None);
    }

    #[test]
    fn lifetime_is_rounded_up() {
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1001)), 2);
        assert_eq!(milliseconds(Duration::MAX), 1 << 62);
    }
}
