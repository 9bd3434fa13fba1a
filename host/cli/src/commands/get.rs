//! `dogpile get REGION KEY`.

use serde::Serialize;
use serde_json::Value;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Key;
use crate::page::{Colour, Page};
use crate::workplace;

/// What was found under a key.
#[derive(Serialize)]
struct Found {
    key: String,
    found: bool,
    value: Option<Value>,
    age_seconds: Option<f64>,
}

/// Reads the value of a key, as an application would: one that is too old is none.
pub(super) fn run(asked: &Key) -> Answered {
    let region = workplace::open(&asked.region)?;
    let value = region.get_value_metadata::<Value>(&asked.key)?;
    Ok(Box::new(Found {
        key: asked.key.clone(),
        found: value.is_some(),
        age_seconds: value.as_ref().map(|value| value.age.as_secs_f64()),
        value: value.map(|value| value.value),
    }))
}

impl Answer for Found {
    fn json(&self) -> Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        match &self.value {
            // A text as it is, for the shell to go on with.
            Some(Value::String(text)) => page.line(text),
            Some(value) => page.line(format!("{value:#}")),
            None => {
                let none = page.paint(Colour::Yellow, "no value");
                page.line(format!("{none} (none is stored, or it is too old, or it is of no JSON form)"));
            }
        }
    }

    fn is_good(&self) -> bool {
        self.found
    }
}
