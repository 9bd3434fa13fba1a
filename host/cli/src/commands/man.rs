//! `dogpile man`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::answer::{Answer, Answered};
use crate::arguments::CommandLine;
use crate::error::CommandError;
use crate::page::Page;

/// A text that is printed as it is.
pub(super) struct Written(pub(super) String);

impl Answer for Written {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "text": self.0 })
    }

    fn show(&self, page: &mut Page) {
        self.0.lines().for_each(|line| page.line(line));
    }

    fn raw(&self) -> Option<&str> {
        Some(self.0.trim_end_matches('\n'))
    }
}

/// Returns the manual page: the command itself, then each subcommand.
pub(super) fn run() -> Answered {
    let mut command = CommandLine::command();
    command.build();
    let mut text = Vec::new();
    let written = Man::new(command.clone()).render(&mut text).and_then(|()| sections(&command, &mut text));
    written.map_err(|error| CommandError::other(format!("the manual page cannot be made: {error}")))?;
    Ok(Box::new(Written(String::from_utf8_lossy(&text).into_owned())))
}

/// Adds a section for each visible subcommand and those below it.
fn sections(command: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    for subcommand in shown {
        let name = subcommand.get_bin_name().unwrap_or(subcommand.get_name()).to_uppercase();
        text.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        let man = Man::new(subcommand.clone());
        man.render_synopsis_section(text)?;
        man.render_description_section(text)?;
        if subcommand.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(text)?;
        }
        sections(subcommand, text)?;
    }
    Ok(())
}
