//! Functions and methods within the body of another function. Their full name alone is not unique.

use super::function_call::Function;
use super::place::Place;

/// Returns `function`, with an owner and its place if another function's body contains it.
///
/// Another body, or another block of this one, may contain a function of the same name. `path` is the function's path,
/// and `usual` the [`path_len`] that it has outside of bodies, directly in its module.
#[inline]
pub fn of_function_body<'a>(
    function: Function<'a>,
    path: &'a str,
    usual: usize,
    place: Place,
) -> Function<'a> {
    if path.len() == usual {
        return function;
    }
    let Some((body, _)) = path.rsplit_once("::") else { return function };
    function.of(body).at(place)
}

/// Returns `function` as a method of `owner`. If the `impl` is in a function's body, it has a place.
///
/// Another block of that body may contain a type of the same name. `path` is the path of an item within the method, and
/// `module` the [`path_len`] of the module.
#[inline]
pub fn of_method<'a>(
    function: Function<'a>,
    owner: &'a str,
    path: &str,
    module: usize,
    place: Place,
) -> Function<'a> {
    let method = function.of(owner);
    if is_in_body(path, module) { method.at(place) } else { method }
}

/// Returns the length of `path` in a type's name, which omits `r#`. A macro such as `module_path!` made it.
pub const fn path_len(path: &str) -> usize {
    let (bytes, mut at, mut raw) = (path.as_bytes(), 1, 0);
    while at < bytes.len() {
        if bytes[at] == b'#' && bytes[at - 1] == b'r' {
            raw += 2;
        }
        at += 1;
    }
    bytes.len() - raw
}

/// Returns whether a method is within the body of a function.
///
/// The `path` of an item in the method is `module::Type::method::Item` or `module::<impl other::Type>::method::Item`
/// otherwise. There may be generic parameters after `Type`. The body of an asynchronous method is a closure within it.
fn is_in_body(path: &str, module: usize) -> bool {
    let path = path.rsplit_once("::").map_or(path, |(method, _)| method);
    let path = path.strip_suffix("::{{closure}}").unwrap_or(path);
    let Some(within) = path.get(module..).and_then(|path| path.strip_prefix("::")) else { return false };
    match within.split_once('<') {
        Some((before, _)) => before.contains("::"),
        None => within.matches("::").count() > 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_identifiers_are_shorter_in_type_names() {
        assert_eq!((path_len("m::four"), path_len("r#m::r#loop"), path_len("")), (7, 7, 0));
    }

    #[test]
    fn methods_in_bodies_are_distinguished() {
        for path in [
            "m::T::f::I",
            "m::T<_>::f::I",
            "m::T<a::B>::f::I",
            "m::<impl n::T>::f::I",
            "m::T::f::{{closure}}::I",
        ] {
            assert!(!is_in_body(path, path_len("m")), "{path}");
        }
        for path in [
            "m::o::T::f::I",
            "m::o::T::f::{{closure}}::I",
            "m::o::T<_>::f::I",
            "m::o::<impl m::T>::f::I",
            "m::o::{{closure}}::T::f::I",
        ] {
            assert!(is_in_body(path, path_len("m")), "{path}");
        }
    }
}
