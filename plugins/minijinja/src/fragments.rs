//! [`Fragments`]: the regions that templates cache in.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use dogpile::{CacheRegion, Expiration, RegionError, function};
use minijinja::{Error, ErrorKind, Template, Value};

use crate::fragment::{Format, Fragment};

/// The regions that templates cache in, by the names that templates know them by.
#[derive(Clone)]
pub struct Fragments(Arc<BTreeMap<String, Region>>);

/// A static, an `Arc`, or whatever else points to a region.
pub(crate) type Region = Box<dyn Deref<Target = CacheRegion> + Send + Sync>;

impl Fragments {
    pub(crate) fn new(regions: BTreeMap<String, Region>) -> Self {
        Fragments(Arc::new(regions))
    }

    /// Renders a whole template, unless `key` has a fresh text in the region called `region`.
    ///
    /// # Errors
    /// What the template fails with; there may be no such region, or `key` be empty.
    pub fn render_cached(
        &self,
        template: &Template<'_, '_>,
        context: impl Into<Value>,
        region: &str,
        key: &str,
        expiration: Option<Expiration>,
    ) -> Result<String, Error> {
        let named = |problem| {
            let detail = format!("template {:?}: {problem}", template.name());
            Error::new(ErrorKind::InvalidOperation, detail)
        };
        let found = self.region(region).map_err(named)?;
        check(key).map_err(named)?;
        let context = context.into();
        text(found, key, expiration, &Format::Page, || template.render(context.clone()))
    }

    /// Removes what is cached under `key` in the region called `region`, a fragment or a whole template.
    ///
    /// # Errors
    /// If there is no such region, or it fails.
    pub fn invalidate(&self, region: &str, key: &str) -> Result<(), Error> {
        let unknown = |problem| Error::new(ErrorKind::InvalidOperation, problem);
        let failed = |error: RegionError| {
            Error::new(ErrorKind::InvalidOperation, "could not invalidate a fragment").with_source(error)
        };
        self.region(region).map_err(unknown)?.delete(key).map_err(failed)
    }

    pub(crate) fn region(&self, name: &str) -> Result<&CacheRegion, String> {
        self.0.get(name).map(|region| &***region).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            format!("there is no region {name:?} to cache in (have: {})", known.join(", "))
        })
    }
}

/// Refuses a key that no region takes.
pub(crate) fn check(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("what is cached needs a key, of at least one character".to_owned());
    }
    Ok(())
}

/// The text of `key`, rendered if there is no fresh one. One of another format is left as it is, and does not serve.
pub(crate) fn text(
    region: &CacheRegion,
    key: &str,
    expiration: Option<Expiration>,
    format: &Format,
    mut render: impl FnMut() -> Result<String, Error>,
) -> Result<String, Error> {
    let mut call = region.options();
    if let Some(expiration) = expiration {
        call = call.expiration_time(expiration);
    }
    let fragment = function::evaluate(call, key, (), |()| {
        render().map(|text| Fragment { format: format.clone(), text })
    })?;
    if fragment.format == *format { Ok(fragment.text) } else { render() }
}

impl fmt::Debug for Fragments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
