//! `dogpile plugins`: a file for each of its subcommands.

mod doctor;
mod inspect;
mod list;
mod new;
mod pack;
mod verify;

use crate::answer::Answered;
use crate::arguments::{Hold, Plugins};
use crate::commands::man::Written;

pub(super) fn run(asked: &Plugins) -> Answered {
    match asked {
        Plugins::List(folders) => list::run(folders),
        Plugins::Inspect { file } => inspect::run(file),
        Plugins::Doctor { name, folders } => doctor::run(name.as_deref(), folders),
        Plugins::New(asked) => new::run(asked),
        Plugins::Pack(asked) => pack::run(asked),
        Plugins::Verify(asked) => verify::run(asked),
    }
}

/// The process that `dogpile plugins verify` kills. It reports its own errors.
pub(super) fn hold(asked: &Hold) -> Answered {
    verify::hold(asked)?;
    Ok(Box::new(Written(String::new())))
}
