//! [`cache_status`]: the header `Cache-Status` of RFC 9211, which states how the cache was used.

use axum::http::{HeaderName, HeaderValue};
use dogpile::{Outcome, Served};

/// The name of the header, which the crate http does not have.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Returns the header for a value that the cache served. The name of the cache is `shop`.
pub(crate) fn cache_status<T>(served: &Served<T>) -> [(HeaderName, HeaderValue); 1] {
    let status = match served.outcome {
        Outcome::Fresh => "shop; hit",
        Outcome::Stale => "shop; hit; detail=stale",
        Outcome::FailSafe => "shop; hit; detail=fail_safe",
        Outcome::Created if served.is_stored => "shop; fwd=miss; stored",
        Outcome::Created => "shop; fwd=miss",
        Outcome::Waited => "shop; fwd=miss; collapsed",
        Outcome::Degraded => "shop; fwd=bypass; detail=degraded",
        _ => "shop",
    };
    [(CACHE_STATUS, HeaderValue::from_static(status))]
}

#[cfg(test)]
mod tests {
    use dogpile::{CacheRegion, Created, RegionConfig, RegionError};

    use super::*;

    /// Returns the header of a call whose creator is `create`.
    fn status(
        region: &CacheRegion,
        create: impl FnOnce() -> Result<Created<u32>, RegionError>,
    ) -> HeaderValue {
        let served = region.options().with_outcome().get_or_create_with("key", |_| create());
        let [(_, status)] = cache_status(&served.expect("the creator succeeds"));
        status
    }

    #[test]
    fn value_that_was_not_stored_is_not_called_stored() {
        let region = CacheRegion::new("products");
        region.configure(RegionConfig::new("dogpile.cache.memory")).expect("the configuration is valid");
        assert_eq!(status(&region, || Ok(Created::uncached(1))), "shop; fwd=miss");
        // The product is changed while it is queried.
        let superseded = || region.delete("key").map(|()| Created::new(1));
        assert_eq!(status(&region, superseded), "shop; fwd=miss");
        assert_eq!(status(&region, || Ok(Created::new(1))), "shop; fwd=miss; stored");
        assert_eq!(status(&region, || Ok(Created::new(1))), "shop; hit");
    }
}
