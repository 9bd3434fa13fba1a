//! Connections to servers, for backends of dogpile. No protocol is known here.
//!
//! A [`Connector`] opens a [`Stream`], all of whose calls end by a deadline. A [`Pool`] lends a bounded number of
//! connections. A forked child needs its own: see [`PerProcess`](dogpile_sdk::PerProcess). With the feature `tokio`, a
//! connector also opens connections for tasks of tokio. Many calls share one of them: they wait in its [`Lane`].

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod alarm;
#[cfg(feature = "tokio")]
mod async_stream;
mod bounded;
mod connector;
mod failure;
mod keepalive;
#[cfg(feature = "tokio")]
mod lane;
mod pool;
mod stream;
mod tls;

#[cfg(feature = "tokio")]
pub use self::alarm::Alarm;
#[cfg(feature = "tokio")]
pub use self::async_stream::AsyncStream;
pub use self::connector::{Connector, Endpoint};
pub use self::failure::Failure;
pub use self::keepalive::Keepalive;
#[cfg(feature = "tokio")]
pub use self::lane::{Added, Cancellation, Lane, Place, Queued};
pub use self::pool::{Busy, Loan, Pool, PoolLimits};
pub use self::stream::Stream;
pub use self::tls::{Checks, Tls};
