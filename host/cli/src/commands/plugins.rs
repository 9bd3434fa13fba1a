//! `dogpile plugins`: a file for each of its subcommands.

mod inspect;
mod list;

use crate::answer::Answered;
use crate::arguments::Plugins;

pub(super) fn run(asked: &Plugins) -> Answered {
    match asked {
        Plugins::List(folders) => list::run(folders),
        Plugins::Inspect { file } => inspect::run(file),
    }
}
