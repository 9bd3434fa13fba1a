//! `dogpile completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::answer::Answer;
use crate::arguments::CommandLine;
use crate::commands::man::Written;

/// The completions of `shell`.
pub(super) fn run(shell: Shell) -> Box<dyn Answer> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "dogpile", &mut text);
    Box::new(Written(String::from_utf8_lossy(&text).into_owned()))
}
