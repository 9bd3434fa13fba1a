//! A test suite for dogpile backends.
//!
//! Add this crate as a dev-dependency, and a test target without the standard harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! Then `tests/conformance.rs` has one [`Setup`] for each configuration of the backend:
//!
//! ```no_run
//! # use std::{collections::HashMap, sync::Mutex};
//! # use dogpile_sdk::{BackendError, CacheBackend, CachedValue, StoreOptions};
//! # #[derive(Debug, Default)]
//! # struct Shelf(Mutex<HashMap<String, CachedValue>>);
//! # impl CacheBackend for Shelf {
//! #     fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
//! #         Ok(self.0.lock().unwrap().get(key).cloned())
//! #     }
//! #     fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
//! #         self.0.lock().unwrap().insert(key.to_owned(), value);
//! #         Ok(())
//! #     }
//! #     fn delete(&self, key: &str) -> Result<(), BackendError> {
//! #         self.0.lock().unwrap().remove(key);
//! #         Ok(())
//! #     }
//! # }
//! use std::sync::Arc;
//!
//! use dogpile_conformance::Setup;
//!
//! fn main() -> std::process::ExitCode {
//!     dogpile_conformance::run([Setup::new("shelf", || Ok(Arc::new(Shelf::default())))])
//! }
//! ```
//!
//! A proxy is tested around a store that has every feature, because it may hide or break each of them:
//!
//! ```no_run
//! # #[derive(Debug)]
//! # struct SlowLog(Arc<dyn dogpile_sdk::CacheBackend>);
//! # impl dogpile_sdk::ProxyBackend for SlowLog {
//! #     fn proxied(&self) -> &dyn dogpile_sdk::CacheBackend { &*self.0 }
//! # }
//! # use std::sync::Arc;
//! # use dogpile_conformance::Setup;
//! dogpile_conformance::run([Setup::proxy("slow_log", |proxied| Ok(dogpile_sdk::proxy(SlowLog(proxied))))]);
//! ```
//!
//! A setup may claim more: [`Setup::leased`], [`Setup::with_lease_store`], and [`Setup::freezable`] add levels.
//!
//! A case is reported as `shelf::store::deleting_an_absent_key_succeeds`: the setup, the [`Level`], and the behavior.
//! To run a level or a case alone, name it: `cargo test --test conformance shelf::mutex`. The cases are the functions
//! of the modules below. Cases that need a feature that the backend does not have, such as a mutex, are shown as
//! ignored, with the reason.
//!
//! The store may be shared and need not be empty, because each case uses new keys. The values are left behind. The
//! store needs room for a thousand small values, three of 1 MiB, and a few of 2 MiB, or of the limit that it reports.

#![forbid(unsafe_code)]

pub mod asynchronous;
pub mod asynchronous_mutex;
pub mod asynchronous_options;
pub mod bad_input;
pub mod capabilities;
pub mod concurrency;
pub mod containment;
pub mod expiry;
pub mod fencing;
pub mod forms;
pub mod frozen;
pub mod lease;
pub mod lease_store;
pub mod metadata;
pub mod multi;
pub mod mutex;
pub mod proxied;
pub mod store;

mod begun;
mod expect;
mod freezer;
mod holder;
mod level;
mod reference;
mod report;
mod setup;
mod suite;
mod value;

pub use crate::expect::{Outcome, Stop};
pub use crate::holder::hold;
pub use crate::level::Level;
pub use crate::reference::Reference;
pub use crate::report::{LevelReport, Report, Verdict};
pub use crate::setup::Setup;
pub use crate::suite::{Case, cases, check, report, report_of, run, trials};
