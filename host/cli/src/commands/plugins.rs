//! `dogpile plugins`: a file for each of its subcommands.

mod doctor;
mod inspect;
mod list;
mod new;
mod pack;
mod verify;

use crate::answer::Answered;
use crate::arguments::Plugins;

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
