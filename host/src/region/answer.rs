//! [`answer`]: errors that are no failures.

use crate::engine::note_answer;

/// Marks `error`, with which the creator that calls this is about to fail, as an answer: the source replied, and its reply is
/// an error, such as "not found".
///
/// All other errors count as outages of the source, for which [fail-safe](crate::RegionConfig::fail_safe) serves an old value.
/// An answer reaches the caller even if there is an old value. Without fail-safe, there is no difference. Returns `error`.
///
/// Call it in the creator itself, on the thread or in the task that runs it. Elsewhere it does nothing. A creator within a
/// creator marks its own creation only.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, CreateError, FailSafe, RegionConfig, answer};
///
/// # fn load(_id: u32) -> Result<Option<String>, std::io::Error> { Ok(None) }
/// let users = CacheRegion::new("users");
/// let fail_safe = FailSafe::new(Duration::from_secs(3600));
/// users.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(60).fail_safe(fail_safe))?;
/// let user = users.try_get_or_create("7", || match load(7) {
///     Ok(Some(user)) => Ok(user),
///     Ok(None) => Err(answer("there is no such user")), // an old value is wrong now
///     Err(_) => Err("the database is down"),            // an old value is better than nothing
/// });
/// assert!(matches!(user, Err(CreateError::Creator("there is no such user"))));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
pub fn answer<E>(error: E) -> E {
    note_answer();
    error
}
