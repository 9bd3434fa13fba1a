//! `dogpile completions SHELL`.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::answer::Answer;
use crate::arguments::CommandLine;
use crate::commands::man::Written;

/// Returns the completions of `shell`.
pub(super) fn run(shell: Shell) -> Box<dyn Answer> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown(&CommandLine::command()), "dogpile", &mut text);
    Box::new(Written(String::from_utf8_lossy(&text).into_owned()))
}

/// Returns `command` without its hidden subcommands, which the generator would complete too.
fn shown(command: &Command) -> Command {
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    Command::new("dogpile").args(command.get_arguments()).subcommands(subcommands)
}
