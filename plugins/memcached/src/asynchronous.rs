//! Asynchronous calls, on a runtime of tokio that the backend owns.
//!
//! Many calls share a connection: requests are sent one after another, and replies are matched to them by their order and
//! by the numbers that the server repeats. A connection is closed as soon as they do not match. Every wait ends by the
//! deadline of its call.
//!
//! Calls wait in the [`Lane`](dogpile_net::Lane) of a connection. A task of the [`Driver`](driver::Driver) sends them over a
//! [`Link`](link::Link) and completes them.

mod call;
mod client;
mod driver;
mod due;
mod failure;
mod handshake;
mod link;
mod locks;
mod multiplexer;
mod operations;
mod owned;
mod servers;

pub(crate) use self::client::AsyncClient;
pub(crate) use self::locks::LockOperations;
pub(crate) use self::operations::MemcachedOperations;
