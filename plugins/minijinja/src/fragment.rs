//! [`Fragment`]: the stored form of a rendered text.

use minijinja::{AutoEscape, Value};
use serde::{Deserialize, Serialize};

/// A rendered text and its format. A text that was not escaped must not be used in an HTML page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fragment {
    pub(crate) format: Format,
    pub(crate) text: String,
}

/// The format of a rendered text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A whole template, which controls its own escaping.
    Page,
    /// A body without escaping.
    Text,
    /// A body with escaping, and the name of its format.
    Escaped(String),
}

impl Format {
    /// Returns the format of a body in a template with this escaping.
    pub(crate) fn of(auto_escape: &AutoEscape) -> Self {
        match auto_escape {
            AutoEscape::None => Format::Text,
            AutoEscape::Html => Format::Escaped("html".to_owned()),
            other => Format::Escaped(format!("{other:?}")),
        }
    }

    /// Returns `text` as a value for the template. An escaped text is not escaped again.
    pub(crate) fn value(&self, text: String) -> Value {
        match self {
            Format::Escaped(_) => Value::from_safe_string(text),
            Format::Page | Format::Text => Value::from(text),
        }
    }
}
