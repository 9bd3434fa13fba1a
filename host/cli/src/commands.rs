//! The subcommands, one file each.

mod bench;
mod check;
mod completions;
mod delete;
mod get;
mod inspect;
mod man;
mod peek;
mod plugins;
mod set;
mod stampede;
mod top;

use crate::answer::Answered;
use crate::arguments::{Command, CommandLine};

/// Runs the subcommand of the command line.
pub(crate) fn run(command_line: CommandLine) -> Answered {
    match command_line.command {
        Command::Plugins(asked) => plugins::run(&asked),
        Command::Check(asked) => check::run(&asked),
        Command::Bench(asked) => bench::run(&asked, command_line.json),
        Command::Get(asked) => get::run(&asked),
        Command::Set(asked) => set::run(&asked),
        Command::Delete(asked) => delete::run(&asked),
        Command::Inspect(asked) => inspect::run(&asked),
        Command::Stampede(asked) => stampede::run(&asked, command_line.json),
        Command::Top(asked) => top::run(&asked, command_line.json),
        Command::StampedeProcess(asked) => stampede::process::run(&asked),
        Command::HoldMutex(asked) => plugins::hold(&asked),
        Command::Completions { shell } => Ok(completions::run(shell)),
        Command::Man => man::run(),
    }
}
