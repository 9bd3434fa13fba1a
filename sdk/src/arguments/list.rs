//! Lists in configurations: an array, or one string such as `"a:1, b:2"`.
//!
//! Every argument that is a list accepts both. A file of flat names, such as an ini file, has only strings.
//!
//! ```
//! use dogpile_sdk::Arguments;
//!
//! #[derive(Debug, serde::Deserialize)]
//! struct Config {
//!     nodes: Vec<String>,
//!     #[serde(default)]
//!     weights: Option<Vec<u32>>,
//! }
//!
//! let arguments = Arguments::from_serialize(serde_json::json!({ "nodes": "a:1, b:2", "weights": "3,1" }))?;
//! let config: Config = arguments.parse()?;
//! assert_eq!(config.nodes, ["a:1", "b:2"]);
//! assert_eq!(config.weights, Some(vec![3, 1]));
//! # Ok::<(), dogpile_sdk::BackendError>(())
//! ```

/// Splits a string into the elements of a list. Commas and line breaks separate them.
///
/// Whitespace around an element is removed, and empty elements are left out. An element that contains a comma must be given
/// in an array, whose elements are never split.
///
/// ```
/// use dogpile_sdk::list;
///
/// assert_eq!(list::split("a:1, b:2,").collect::<Vec<_>>(), ["a:1", "b:2"]);
/// assert_eq!(list::split(" ").count(), 0);
/// ```
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|element| !element.is_empty())
}
