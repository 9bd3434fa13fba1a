//! `dogpile set REGION KEY VALUE`.

use std::io::Read;

use serde_json::Value;

use crate::answer::Answered;
use crate::arguments::Set;
use crate::commands::delete::Done;
use crate::error::CommandError;
use crate::workplace;

/// Stores a value: JSON, or a text.
pub(super) fn run(asked: &Set) -> Answered {
    let region = workplace::open(&asked.key.region)?;
    let given = if asked.value == "-" { from_stdin()? } else { asked.value.clone() };
    let value = match serde_json::from_str(&given) {
        Ok(value) if !asked.text => value,
        _ => Value::String(given),
    };
    region.set(&asked.key.key, value)?;
    if workplace::is_in_process(&region)? {
        return Err(CommandError::other(format!(
            "{:?} is not stored: the backend of region {:?} keeps values in its process only, and this one ends; use a \
             backend with a server or a file",
            asked.key.key, asked.key.region.region
        )));
    }
    Ok(Box::new(Done::new("stored", &asked.key)))
}

fn from_stdin() -> Result<String, CommandError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CommandError::other(format!("the standard input cannot be read: {error}")))?;
    Ok(text)
}
