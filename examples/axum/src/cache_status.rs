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
        Outcome::Created => "shop; fwd=miss; stored",
        Outcome::Waited => "shop; fwd=miss; collapsed",
        Outcome::Degraded => "shop; fwd=bypass; detail=degraded",
        _ => "shop",
    };
    [(CACHE_STATUS, HeaderValue::from_static(status))]
}
