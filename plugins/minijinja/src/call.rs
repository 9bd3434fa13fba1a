//! The function `cached` of templates.

use std::ops::Deref;

use dogpile::{CacheRegion, Expiration};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use crate::fragment::Format;
use crate::fragments::{Fragments, Region, check, text};

/// Lets the templates of `env` cache in `regions`, given by name as `&'static CacheRegion` or `Arc<CacheRegion>`.
///
/// A template says `{% call cached("key", region="name", timeout=60) %}...{% endcall %}`. The body is rendered when
/// its key has no fresh value in the region, by one caller under the dogpile lock. `timeout` is in seconds, and goes
/// before the region's expiration time. When the region fails, a warning is logged, and the body is rendered as if
/// it were not cached.
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

/// The function that is added to an environment. MiniJinja adds template and line to its errors.
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
    let refused = |problem: String| Error::new(ErrorKind::InvalidOperation, problem);
    check(key).map_err(refused)?;
    let name: Option<Value> = arguments.get("region")?;
    let Some(name) = name else {
        let problem = format!("fragment {key:?} does not say where it is cached; add region=\"...\"");
        return Err(Error::new(ErrorKind::MissingArgument, problem));
    };
    let name = name
        .as_str()
        .ok_or_else(|| refused(format!("the region of fragment {key:?} is {name}, not a name")))?;
    let region = fragments.region(name).map_err(refused)?;
    let expiration = arguments.get::<Option<Value>>("timeout")?;
    let expiration = expiration.map(|timeout| seconds(key, &timeout)).transpose()?;
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

/// A timeout as an expiration time.
fn seconds(key: &str, timeout: &Value) -> Result<Expiration, Error> {
    let number = if timeout.is_number() { f64::try_from(timeout.clone()).ok() } else { None };
    let expiration = number.and_then(|seconds| Expiration::from_seconds(seconds).ok());
    expiration.ok_or_else(|| {
        let detail = format!(
            "the timeout of fragment {key:?} is {timeout:?}; give a number of seconds from 0 up, or -1 for never"
        );
        Error::new(ErrorKind::InvalidOperation, detail)
    })
}
