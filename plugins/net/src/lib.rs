//! Connections to servers, for backends of dogpile. No protocol is known here.
//!
//! A [`Connector`] opens a [`Stream`], all of whose calls end by a deadline. A [`Pool`] lends a bounded number of
//! connections, and [`PerProcess`] keeps a forked child from using those of its parent.

#![forbid(unsafe_code)]

mod bounded;
mod connector;
mod failure;
mod keepalive;
mod pool;
mod process;
mod stream;
mod tls;

pub use self::connector::{Connector, Endpoint};
pub use self::failure::Failure;
pub use self::keepalive::Keepalive;
pub use self::pool::{Busy, Loan, Pool, PoolLimits};
pub use self::process::PerProcess;
pub use self::stream::Stream;
pub use self::tls::{Checks, Tls};
