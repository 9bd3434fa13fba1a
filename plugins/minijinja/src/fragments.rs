//! [`Fragments`]: the regions in which templates cache.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use dogpile::{CacheRegion, Expiration, RegionError, function};
use minijinja::{Error, ErrorKind, Template, Value};

use crate::fragment::{Format, Fragment};

/// The regions in which templates cache, by name.
#[derive(Clone)]
pub struct Fragments(Arc<BTreeMap<String, Region>>);

/// A reference to a region, such as an `Arc`.
pub(crate) type Region = Box<dyn Deref<Target = CacheRegion> + Send + Sync>;

impl Fragments {
    pub(crate) fn new(regions: BTreeMap<String, Region>) -> Self {
        Fragments(Arc::new(regions))
    }

    /// Returns the text of a whole template, rendering it if there is no fresh text. The text is cached under `key`
    /// in the region named `region`.
    ///
    /// # Errors
    /// If the template fails, the region is unknown, or `key` is empty.
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

    /// Removes the fragment or template that is cached under `key` in the region named `region`.
    ///
    /// # Errors
    /// If the region is unknown or fails.
    pub fn invalidate(&self, region: &str, key: &str) -> Result<(), Error> {
        let unknown = |problem| Error::new(ErrorKind::InvalidOperation, problem);
        let failed = |error: RegionError| {
            Error::new(ErrorKind::InvalidOperation, "cannot invalidate the fragment: its region failed")
                .with_source(error)
        };
        self.region(region).map_err(unknown)?.delete(key).map_err(failed)
    }

    pub(crate) fn region(&self, name: &str) -> Result<&CacheRegion, String> {
        self.0.get(name).map(|region| &***region).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            format!("unknown region {name:?}: use one of {}", known.join(", "))
        })
    }
}

/// Returns an error if `key` is empty.
pub(crate) fn check(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("invalid key \"\" of a fragment: use at least one character".to_owned());
    }
    Ok(())
}

/// Returns the text of `key`, rendering it if there is no fresh one.
///
/// A stored text of another format is not used and not replaced.
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
