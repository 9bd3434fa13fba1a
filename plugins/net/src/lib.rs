//! Connections to servers, for backends of dogpile. No protocol is known here.
//!
//! A [`Connector`] opens a [`Stream`], all of whose calls end by a deadline. A [`Pool`] lends a bounded number of
//! connections. A forked child needs its own: see [`PerProcess`](dogpile_sdk::PerProcess).

#![forbid(unsafe_code)]

mod bounded;
mod connector;
mod failure;
mod keepalive;
mod pool;
mod stream;
mod tls;

pub use self::connector::{Connector, Endpoint};
pub use self::failure::Failure;
pub use self::keepalive::Keepalive;
pub use self::pool::{Busy, Loan, Pool, PoolLimits};
pub use self::stream::Stream;
pub use self::tls::{Checks, Tls};
