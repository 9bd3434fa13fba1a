//! [`Fragment`]: what is stored.

use minijinja::{AutoEscape, Value};
use serde::{Deserialize, Serialize};

/// A rendered text, and what it was rendered for: a text that was not escaped does not stand in a page of HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fragment {
    pub(crate) format: Format,
    pub(crate) text: String,
}

/// What a text was rendered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A whole template, which escapes what it likes.
    Page,
    /// A body in which nothing is escaped.
    Text,
    /// A body in which something is, by the format of that name.
    Escaped(String),
}

impl Format {
    /// That of a body in a template which escapes so.
    pub(crate) fn of(auto_escape: &AutoEscape) -> Self {
        match auto_escape {
            AutoEscape::None => Format::Text,
            AutoEscape::Html => Format::Escaped("html".to_owned()),
            other => Format::Escaped(format!("{other:?}")),
        }
    }

    /// `text` as the template takes it. What was escaped is not escaped again.
    pub(crate) fn value(&self, text: String) -> Value {
        match self {
            Format::Escaped(_) => Value::from_safe_string(text),
            Format::Page | Format::Text => Value::from(text),
        }
    }
}
