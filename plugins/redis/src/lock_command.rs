//! The commands of locks. Each is a script whose only key is the lock's name.

// Source: redis-py `lock.py`.

use std::time::Duration;

use crate::command::Command;

/// Sets the lock. An existing lock with our token counts as acquired: the reply to an earlier attempt was lost.
const ACQUIRE: &str = "if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('get', KEYS[1]) == ARGV[1] then return 1 else return 0 end";
const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
/// Does what [`RELEASE`] does and notifies waiters. `pcall` lets a user without the right to publish release, too.
const RELEASE_AND_NOTIFY: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) redis.pcall('publish', ARGV[2], '') return 1 else return 0 end";
const RENEW: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

/// Returns the command that acquires the lock `name` for `token`.
pub(crate) fn acquire<'k>(name: &'k str, token: &'k str, lease: Duration) -> Command<'k> {
    Command::script(ACQUIRE, name).arg(token).arg(millis(lease))
}

/// Returns the command that renews the lock `name`.
pub(crate) fn renew<'k>(name: &'k str, token: &'k str, lease: Duration) -> Command<'k> {
    Command::script(RENEW, name).arg(token).arg(millis(lease))
}

/// Returns the command that releases the lock `name`, and notifies those who listen to `channel`.
pub(crate) fn release<'k>(name: &'k str, token: &'k str, channel: Option<&'k str>) -> Command<'k> {
    match channel {
        Some(channel) => Command::script(RELEASE_AND_NOTIFY, name).arg(token).arg(channel),
        None => Command::script(RELEASE, name).arg(token),
    }
}

fn millis(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1)
}
