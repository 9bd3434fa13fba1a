//! [`occurrence`]: distinguishes the functions that one attribute in a macro caches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proc_macro2::Span;

/// The file, line, and column of an attribute, and the name of the function below it.
type Attribute = (String, usize, usize, String);

/// How often each attribute was expanded.
static SEEN: Mutex<Option<HashMap<Attribute, u32>>> = Mutex::new(None);

/// Returns how often the attribute was expanded before, for a function called `name`.
///
/// It is zero outside of macros. The compiler expands a crate in the same order each time, so that the keys of a function
/// do not change from one build to the next.
pub(crate) fn occurrence(name: &str) -> u32 {
    let written_at = Span::call_site().unwrap();
    let attribute: Attribute = (written_at.file(), written_at.line(), written_at.column(), name.to_owned());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = seen.get_or_insert_default().entry(attribute).or_insert(0);
    let before = *count;
    *count += 1;
    before
}
