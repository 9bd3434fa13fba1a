//! [`answer`] and [`shared`]: marks of the errors that creators return.

use std::sync::Arc;

use crate::engine::{note_answer, note_shared};

/// Marks a creator's error as an answer of its source, such as "not found".
///
/// The creator calls this with the error that it is about to return: the source works, and its reply is an error.
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

/// Shares the error of a creator with the callers that wait for it.
///
/// The creator calls this with the error that it is about to return, which is returned. It is shared if the region
/// [shares failures](crate::RegionConfig::on_creator_failure).
///
/// Without this, those callers get the text of the error only. With it, [`CreateError::creator_error`] and
/// [`into_creator_error`](crate::CreateError::into_creator_error) return the same error to all of them. Wrap an error that
/// cannot be cloned in an `Arc`.
///
/// Call it in the creator itself, on the thread or in the task that runs it. Elsewhere it does nothing.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile::{CacheRegion, CreateError, OnCreatorFailure, RegionConfig, shared};
///
/// # fn load(_id: u32) -> Result<String, std::io::Error> { Err(std::io::ErrorKind::TimedOut.into()) }
/// let users = CacheRegion::new("users");
/// users.configure(RegionConfig::new("dogpile.cache.memory").on_creator_failure(OnCreatorFailure::Share))?;
/// let user = users.try_get_or_create("7", || load(7).map_err(|error| shared(Arc::new(error))));
/// let status = match user.map_err(CreateError::into_creator_error) {
///     Ok(_) => 200,
///     Err(Ok(error)) if error.kind() == std::io::ErrorKind::TimedOut => 504, // the source, for all callers
///     Err(Ok(_)) => 502,
///     Err(Err(error)) if error.is_transient() => 503,                        // the cache
///     Err(Err(_)) => 500,
/// };
/// assert_eq!(status, 504);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// [`CreateError::creator_error`]: crate::CreateError::creator_error
pub fn shared<E: Clone + Send + Sync + 'static>(error: E) -> E {
    note_shared(|| Arc::new(error.clone()));
    error
}
