//! [`Answer`]: what a subcommand found, as text for people or JSON for programs.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::error::{CommandError, causes};
use crate::page::{Colour, Page};

/// What a subcommand found.
pub(crate) trait Answer {
    /// For programs.
    fn json(&self) -> serde_json::Value;

    /// For people.
    fn show(&self, page: &mut Page);

    /// Whether it is what one hopes for; the exit code is 1 if not.
    fn is_good(&self) -> bool {
        true
    }
}

/// What a subcommand answers.
pub(crate) type Answered = Result<Box<dyn Answer>, CommandError>;

/// `value` as JSON. What the command answers are structs of plain values, which have a form.
pub(crate) fn to_json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Writes what was `answered` to the standard output, errors to the standard error.
pub(crate) fn give(answered: Answered, json: bool) -> ExitCode {
    match answered {
        Ok(answer) => {
            let text = if json {
                format!("{:#}\n", answer.json())
            } else {
                let mut page = Page::new(Page::colours_on(&std::io::stdout()));
                answer.show(&mut page);
                page.into_text()
            };
            write_out(&text);
            if answer.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&error, json);
            ExitCode::FAILURE
        }
    }
}

/// Whoever read the output may have seen enough, as `head` does: that is no error.
fn write_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(error: &CommandError, json: bool) {
    let said = causes(error);
    if json {
        let object = json!({ "error": said.first(), "causes": said.get(1..) });
        return write_out(&format!("{object:#}\n"));
    }
    let mut page = Page::new(Page::colours_on(&std::io::stderr()));
    let mark = page.paint(Colour::Red, "error");
    for (number, text) in said.iter().enumerate() {
        for (line, text) in text.lines().enumerate() {
            match (number, line) {
                (0, 0) => page.wrapped(&format!("{mark}: "), "  ", text),
                _ => page.wrapped("  ", "    ", text),
            }
        }
    }
    let _ = std::io::stderr().write_all(page.into_text().as_bytes());
}
