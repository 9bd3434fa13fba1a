//! The built command, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "command/checks.rs"]
mod checks;
#[cfg(unix)]
#[path = "command/hostile.rs"]
mod hostile;
#[path = "command/load.rs"]
mod load;
#[path = "command/migration.rs"]
mod migration;
#[path = "command/new_plugin.rs"]
mod new_plugin;
#[path = "command/outage.rs"]
mod outage;
#[path = "command/packing.rs"]
mod packing;
#[path = "command/plugins.rs"]
mod plugins;
#[path = "command/regions.rs"]
mod regions;
#[cfg(unix)]
#[path = "command/top.rs"]
mod top;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder for a test, in which the command runs.
struct Place(tempfile::TempDir);

/// The output of the command.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Returns the command, in this folder and without the user's environment variables.
    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dogpile"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for name in ["DOGPILE_PLUGIN_PATH", "DOGPILE_CONFIG", "NO_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Answer {
        Answer::of(&self.command(arguments).output().unwrap())
    }

    /// Returns the command's output on a terminal, which `script` provides.
    fn on_a_terminal(&self, arguments: &str, no_color: &str) -> String {
        let run = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_dogpile"));
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &run, "/dev/null"]).current_dir(self.0.path());
        command.stdin(Stdio::null()).env("NO_COLOR", no_color).env("TERM", "xterm");
        Answer::of(&command.output().unwrap()).good()
    }

    /// Runs the same with `--json`, and returns the parsed output.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let answer = self.run(&[&["--json"], arguments].concat());
        let read = serde_json::from_str(&answer.out);
        (answer.code, read.unwrap_or_else(|error| panic!("{error}: {}{}", answer.out, answer.err)))
    }
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Answer { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Returns the output of a successful run.
    fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }
}

/// Fails if a line of `text` has more than 80 columns without a path, or if it contains a color.
fn fits_a_terminal(text: &str) {
    for line in text.lines().filter(|line| !line.contains(['/', '\\'])) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}
