//! Cached template fragments for MiniJinja, in regions of dogpile.
//!
//! ```
//! use dogpile::{CacheRegion, RegionConfig};
//! use minijinja::{Environment, context};
//!
//! static LOCAL: CacheRegion = CacheRegion::new("local");
//!
//! LOCAL.configure(RegionConfig::new("dogpile.cache.memory"))?;
//! let mut env = Environment::new();
//! let fragments = dogpile_minijinja::add_to(&mut env, [("local", &LOCAL)]);
//! env.add_template(
//!     "page.html",
//!     r#"{% call cached("sidebar", region="local", timeout=60) %}<b>{{ name }}</b>{% endcall %}"#,
//! )?;
//! let page = env.get_template("page.html")?;
//! assert_eq!(page.render(context!(name => "Ada"))?, "<b>Ada</b>");
//! assert_eq!(page.render(context!(name => "Bob"))?, "<b>Ada</b>"); // the body was not rendered again
//! fragments.invalidate("local", "sidebar")?;
//! assert_eq!(page.render(context!(name => "Bob"))?, "<b>Bob</b>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Source: dogpile.cache `plugins/mako_cache.py`, for the template engine Mako.

#![forbid(unsafe_code)]

mod call;
mod fragment;
mod fragments;

pub use crate::call::add_to;
pub use crate::fragments::Fragments;

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
