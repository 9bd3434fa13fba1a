//! [`add_to`]: the function `cached` of templates.

use std::ops::Deref;

use dogpile::{CacheRegion, Expiration};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::fragment::Format;
use crate::fragments::{Fragments, Region, check, text};

/// Adds the function `cached` to `env`, whose templates then cache in `regions`. A region is a pair of a name and a
/// `&'static CacheRegion` or `Arc<CacheRegion>`.
///
/// A template contains `{% call cached("key", region="name", timeout=60) %}...{% endcall %}`. If the key has no fresh
/// value in the region, one caller renders the body under the dogpile lock. `timeout` overrides the region's expiration
/// time. It is a number of seconds, a duration such as `"3s"`, or -1 for never. If the region fails, a warning is
/// logged, and the body is rendered as if it were not cached. A region whose `on_backend_failure` is `"degrade"` does not fail
/// with its backend: one caller renders at a time.
pub fn add_to<N, R>(env: &mut Environment<'_>, regions: impl IntoIterator<Item = (N, R)>) -> Fragments
where
    N: Into<String>,
    R: Deref<Target = CacheRegion> + Send + Sync + 'static,
{
    let boxed = |(name, region): (N, R)| (name.into(), Box::new(region) as Region);
    let fragments = Fragments::new(regions.into_iter().map(boxed).collect());
    env.add_function("cached", function(fragments.clone()));
    fragments
}

/// Returns the function for an environment. MiniJinja adds the template and the line to its errors.
fn function(
    fragments: Fragments,
) -> impl Fn(&mut State<'_, '_>, &str, Kwargs) -> Result<Value, Error> + Send + Sync + 'static {
    move |state, key, arguments| cached(&fragments, state, key, &arguments)
}

fn cached(
    fragments: &Fragments,
    state: &mut State<'_, '_>,
    key: &str,
    arguments: &Kwargs,
) -> Result<Value, Error> {
    check(key).map_err(invalid)?;
    let region = fragments.region(&region_name(key, arguments)?).map_err(invalid)?;
    let timeout = arguments.get::<Option<Value>>("timeout")?;
    let expiration = timeout.map(|timeout| expiration(key, &timeout)).transpose()?;
    let body: Option<Value> = arguments.get("caller")?;
    let Some(body) = body else {
        let problem =
            format!("fragment {key:?} has no body; write {{% call cached(...) %}}...{{% endcall %}}");
        return Err(Error::new(ErrorKind::MissingArgument, problem));
    };
    arguments.assert_all_used()?;
    let format = Format::of(state.auto_escape());
    let text = text(region, key, expiration, &format, || Ok(body.call(state, &[])?.to_string()))?;
    Ok(format.value(text))
}

fn region_name(key: &str, arguments: &Kwargs) -> Result<String, Error> {
    let name: Option<Value> = arguments.get("region")?;
    let Some(name) = name else {
        let problem = format!("fragment {key:?} has no region; add region=\"...\"");
        return Err(Error::new(ErrorKind::MissingArgument, problem));
    };
    let text = name.as_str().map(str::to_owned);
    text.ok_or_else(|| invalid(format!("invalid region of fragment {key:?}: {name} is not a name")))
}

/// Returns a timeout as an expiration time.
fn expiration(key: &str, timeout: &Value) -> Result<Expiration, Error> {
    let expiration = match timeout.as_str() {
        Some(text) => text.parse().ok(),
        None if timeout.is_number() => {
            f64::try_from(timeout.clone()).ok().and_then(|seconds| Expiration::from_seconds(seconds).ok())
        }
        None => None,
    };
    expiration.ok_or_else(|| {
        invalid(format!(
            "invalid timeout {timeout:?} of fragment {key:?}: expected seconds (0 or more), a duration such as \"5m\", or \
             -1 for never"
        ))
    })
}

fn invalid(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}
