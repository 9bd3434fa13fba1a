//! A web service on axum whose slow queries are cached by dogpile. `README.md` explains how to start it.
//!
//! * `routes.rs`: the handlers, which show the calls of the cache.
//! * `shop.rs`: what they share, with the regions and a cached function.
//! * `cache_status.rs`: a header that states how the cache was used.
//! * `failure.rs`: the HTTP status of each error.
//! * `service.rs`: the server and its graceful shutdown.
//! * `database.rs`: stands for a database.

#![forbid(unsafe_code)]

mod cache_status;
mod database;
mod failure;
mod routes;
mod service;
mod shop;

pub use crate::database::{Database, DatabaseBusy, Product};
pub use crate::service::{GRACE, serve};
pub use crate::shop::Shop;
