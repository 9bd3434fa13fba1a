//! Checks of the README and of the book in `docs`: links, pages, configurations, and generated tables.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "checks/configurations.rs"]
mod configurations;
#[path = "checks/links.rs"]
mod links;
#[path = "checks/options.rs"]
mod options;
#[path = "checks/pages.rs"]
mod pages;
#[path = "checks/readmes.rs"]
mod readmes;
#[path = "checks/source.rs"]
mod source;
#[path = "checks/summary.rs"]
mod summary;
