//! [`Created`] and [`Aged`]: what a creator decides, and the old value that it sees.

use std::time::Duration;

use dogpile_sdk::{Attributes, CreationTime, Metadata, envelope};

/// A cached value and its age.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Aged<T> {
    /// The value.
    pub value: T,
    /// The time since the value was created. Zero if its creation time lies ahead of the region's clock.
    pub age: Duration,
    /// The time at which the value was created.
    pub creation_time: CreationTime,
}

/// What a creator decided: the value, whether it is stored, and its expiration time.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, Created, RegionConfig};
///
/// let region = CacheRegion::new("tokens");
/// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// let create = |_old| {
///     let (token, lifetime) = ("secret".to_owned(), Duration::from_secs(90));
///     Ok::<_, std::fmt::Error>(Created::new(token).expires_after(lifetime))
/// };
/// assert_eq!(region.options().get_or_create_with("token", create)?, "secret");
/// # Ok::<(), dogpile::CreateError<std::fmt::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a creator returns its decision"]
pub struct Created<T> {
    /// `None` if the old value is confirmed.
    pub(crate) value: Option<T>,
    pub(crate) terms: Terms,
}

/// How a created value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) is_stored: bool,
    /// The value's own expiration time.
    pub(crate) expires_after: Option<Duration>,
}

/// The attribute of a stored value that has its own expiration time, in seconds.
const EXPIRES_AFTER: &str = "d.expires_after";

impl Terms {
    /// Stored, with the region's expiration time.
    pub(crate) const STORED: Terms = Terms { is_stored: true, expires_after: None };

    /// Returns the metadata of a value that is stored on these terms and was made at `made`.
    pub(crate) fn metadata(&self, made: CreationTime) -> Metadata {
        let Some(age) = self.expires_after else { return Metadata::new(made) };
        let seconds = age.as_secs_f64().to_string();
        let attributes = envelope::with_member(&Attributes::NONE, EXPIRES_AFTER, &seconds);
        Metadata::new(made).with_attributes(attributes)
    }
}

/// Returns a value's own expiration time, or `None` if it has none or an invalid one.
pub(crate) fn expires_after(metadata: &Metadata) -> Option<Duration> {
    let seconds: f64 = envelope::member(&metadata.attributes, EXPIRES_AFTER)?.parse().ok()?;
    // What is too long for a `Duration` is as good as forever.
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

impl<T> Created<T> {
    /// Creates a decision to store `value` and to return it.
    pub fn new(value: T) -> Self {
        Created { value: Some(value), terms: Terms::STORED }
    }

    /// Creates a decision for each of `values`, to store and to return it.
    pub(crate) fn all(values: Vec<T>) -> Vec<Self> {
        values.into_iter().map(Created::new).collect()
    }

    /// Creates a decision to return `value` without storing it. The stored value stays as it is.
    ///
    /// Callers that waited get the value too.
    pub fn uncached(value: T) -> Self {
        Created { value: Some(value), terms: Terms { is_stored: false, expires_after: None } }
    }

    /// Creates a decision to confirm the old value. It is stored again with a new creation time, and returned.
    ///
    /// It keeps its own expiration time, if it has one and [`expires_after`](Self::expires_after) sets no other. If
    /// there is no old value, the call fails with [`RegionError::NothingToConfirm`](crate::RegionError::NothingToConfirm).
    pub fn unchanged() -> Self {
        Created { value: None, terms: Terms::STORED }
    }

    /// Sets the age past which this value is stale. Default: the region's expiration time.
    ///
    /// It is stored with the value, so that it applies to every later call, except one with an
    /// [`expiration_time`](crate::CallOptions::expiration_time) of its own.
    pub fn expires_after(mut self, age: Duration) -> Self {
        self.terms.expires_after = Some(age);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_expiration_time_survives_in_the_attributes() {
        for age in [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(90), Duration::MAX] {
            let terms = Terms { expires_after: Some(age), ..Terms::STORED };
            let metadata = terms.metadata(CreationTime::from_seconds(1.0));
            assert!(envelope::is_readable(&metadata), "{metadata:?}");
            assert_eq!(expires_after(&metadata), Some(age));
        }
    }

    #[test]
    fn value_without_own_expiration_time_has_no_attributes() {
        let metadata = Terms::STORED.metadata(CreationTime::from_seconds(1.0));
        assert!(metadata.attributes.is_empty());
        assert_eq!(expires_after(&metadata), None);
    }

    #[test]
    fn invalid_expiration_time_of_a_value_is_ignored() {
        for members in [r#""d.expires_after": "5m""#, r#""d.expires_after": -1"#, r#""d.expires_after""#] {
            let metadata = Metadata::new(CreationTime::from_seconds(1.0));
            let metadata = metadata.with_attributes(Attributes::from_members(members));
            assert_eq!(expires_after(&metadata), None, "{members}");
        }
    }
}
