//! The command `dogpile`.

#![forbid(unsafe_code)]

mod answer;
mod arguments;
mod axis;
mod commands;
mod dice;
mod document;
mod error;
mod found_library;
mod histogram;
mod page;
mod plugin_archive;
mod plugin_files;
mod progress;
mod replacing;
mod servers;
mod svg;
mod times;
mod workplace;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::CommandLine;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let json = command_line.json;
    answer::give(commands::run(command_line), json)
}
