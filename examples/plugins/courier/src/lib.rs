//! An example of a third party's asynchronous plugin: the backend `courier.shelf`.
//!
//! An application links it with `use courier_dogpile as _;`, or loads the library that `dylib/` makes of it.

#![forbid(unsafe_code)]

mod backend;
mod mutex;

pub use crate::backend::{Courier, CourierConfig};
