//! `dogpile delete REGION KEY`.

use serde::Serialize;

use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Key;
use crate::page::Page;
use crate::workplace;

/// The result for a key.
#[derive(Serialize)]
pub(super) struct Done {
    region: String,
    key: String,
    done: &'static str,
}

impl Done {
    pub(super) fn new(done: &'static str, key: &Key) -> Self {
        Done { region: key.region.region.clone(), key: key.key.clone(), done }
    }
}

/// Removes a key, if it exists.
pub(super) fn run(asked: &Key) -> Answered {
    workplace::open(&asked.region)?.delete(&asked.key)?;
    Ok(Box::new(Done::new("deleted", asked)))
}

impl Answer for Done {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        page.line(format!("{} {:?} of region {:?}", self.done, self.key, self.region));
    }
}
