//! [`Answer`]: the result of a subcommand, as text for people or JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::error::{CommandError, causes};
use crate::page::{Color, Page, safe_json};

/// The result of a subcommand.
pub(crate) trait Answer {
    /// Returns the result for programs.
    fn json(&self) -> serde_json::Value;

    /// Writes the result for people.
    fn show(&self, page: &mut Page);

    /// Returns the bare text for programs that do not read JSON, if there is one.
    fn raw(&self) -> Option<&str> {
        None
    }

    /// Returns whether there is no result, so that the text is a message and not for the standard output.
    fn is_absent(&self) -> bool {
        false
    }

    /// Returns whether the subcommand has written its result already.
    fn is_written(&self) -> bool {
        false
    }

    /// Returns whether the result is a success. Otherwise the exit code is 1.
    fn is_good(&self) -> bool {
        true
    }
}

/// The outcome of a subcommand.
pub(crate) type Answered = Result<Box<dyn Answer>, CommandError>;

/// Converts `value` to JSON. The results are structs of plain values, so that this cannot fail.
pub(crate) fn to_json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Writes the result in `answered` to the standard output, or its error to the standard error.
pub(crate) fn give(answered: Answered, json: bool) -> ExitCode {
    match answered {
        Ok(answer) => {
            let written = match answer.raw().filter(|_| !std::io::stdout().is_terminal()) {
                _ if answer.is_written() => Ok(()),
                _ if json => write_json(&answer.json()),
                Some(raw) => write_to(&mut std::io::stdout().lock(), &format!("{raw}\n")),
                None => {
                    let mut page = Page::new();
                    answer.show(&mut page);
                    // These streams remove the colors unless a terminal shows them.
                    match answer.is_absent() {
                        true => write_to(&mut anstream::stderr().lock(), &page.into_text()),
                        false => write_to(&mut anstream::stdout().lock(), &page.into_text()),
                    }
                }
            };
            if let Err(source) = written {
                complain(&CommandError::Output { source }, false);
                return ExitCode::FAILURE;
            }
            if answer.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&error, json);
            ExitCode::FAILURE
        }
    }
}

fn write_json(json: &serde_json::Value) -> io::Result<()> {
    write_to(&mut std::io::stdout().lock(), &safe_json(&format!("{json:#}\n")))
}

/// Writes `text`. A reader that closes the pipe early, such as `head`, is not an error.
fn write_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn complain(error: &CommandError, json: bool) {
    let said = causes(error);
    if json {
        let object = json!({ "error": said.first(), "causes": said.get(1..) });
        // The exit code shows the failure, even if its message cannot be written.
        let _ = write_json(&object);
        return;
    }
    let mut page = Page::new();
    let mark = page.paint(Color::Red, "error");
    for (number, text) in said.iter().enumerate() {
        for (line, text) in text.lines().enumerate() {
            match (number, line) {
                (0, 0) => page.wrapped(&format!("{mark}: "), "  ", text),
                _ => page.wrapped("  ", "    ", text),
            }
        }
    }
    let _ = write_to(&mut anstream::stderr().lock(), &page.into_text());
}
