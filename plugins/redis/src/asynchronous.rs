//! Asynchronous calls, on a runtime of tokio that the backend owns.
//!
//! Many calls share a connection: requests are sent one after another, and replies are matched to them by their order. A
//! connection is closed if that order is in doubt. Every wait ends by the deadline of its call.
//!
//! Requests are packed on the caller's thread, and wait in the [`Lane`](dogpile_net::Lane) of a connection. A task of the
//! [`Driver`](driver::Driver) sends them over a [`Link`](link::Link) and completes the calls. The [`Route`](route::Route) lets a
//! caller send its request itself if the connection is idle.

mod call;
mod channels;
mod client;
mod cluster;
mod driver;
mod due;
mod failure;
mod link;
mod locks;
mod multiplexer;
mod nodes;
mod opened;
mod operations;
mod route;
mod sentinel;
mod subscriptions;

pub(crate) use self::client::Client;
pub(crate) use self::locks::LockOperations;
pub(crate) use self::operations::RedisOperations;
