//! The memcached backends under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
