//! The processes of a stampede. They are started, begin at once, and report their results.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::process::Noted;
use crate::arguments::{Region, Stampede};
use crate::error::CommandError;

/// The time limit for the processes to start, and to end after their creators.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends when this value is dropped.
struct Member {
    number: u64,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

/// Lets `asked.processes` processes request `key`. Returns the records of their threads, process by process.
pub(super) fn run(asked: &Stampede, region: &Region, key: &str) -> Result<Vec<Vec<Noted>>, CommandError> {
    let mut members = (0..asked.processes)
        .map(|number| Member::start(asked, region, key, number))
        .collect::<Result<Vec<_>, CommandError>>()?;
    let deadline = Instant::now() + PATIENCE;
    members.iter_mut().try_for_each(|member| member.hear(deadline).map(|_| ()))?;
    members.iter_mut().try_for_each(Member::let_go)?;
    // This is the duration if each thread creates in turn.
    let creators = u32::try_from(asked.processes * asked.threads).unwrap_or(u32::MAX);
    let deadline = Instant::now() + PATIENCE + Duration::from_millis(asked.takes) * creators;
    members.iter_mut().map(|member| member.notes(deadline)).collect()
}

impl Member {
    fn start(asked: &Stampede, region: &Region, key: &str, number: u64) -> Result<Self, CommandError> {
        let failed = |error: std::io::Error| {
            CommandError::other(format!("process {number} of the stampede cannot be started: {error}"))
        };
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("stampede-process")
            .arg("--config")
            .arg(&region.config)
            .args(["--threads", &asked.threads.to_string(), "--takes", &asked.takes.to_string()])
            .args(["--number", &number.to_string(), "--", &region.region, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = pipes else {
            return Err(CommandError::other("a process was started without pipes"));
        };
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            // The receiver is gone if the stampede was given up.
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Ok(Member { number, child, stdin, lines })
    }

    /// Returns the next line that it prints.
    fn hear(&mut self, deadline: Instant) -> Result<String, CommandError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                CommandError::other(format!("process {} of the stampede did not reply in time", self.number))
            }
            RecvTimeoutError::Disconnected => self.last_words(),
        })
    }

    /// Returns the reason why it ended, from its standard error.
    fn last_words(&mut self) -> CommandError {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // A part of the output is better than none.
            let _ = stderr.read_to_string(&mut said);
        }
        let said = said.trim().trim_start_matches("error: ");
        CommandError::other(format!("process {} of the stampede failed\n{said}", self.number))
    }

    fn let_go(&mut self) -> Result<(), CommandError> {
        writeln!(self.stdin, "go").map_err(|_| self.last_words())
    }

    fn notes(&mut self, deadline: Instant) -> Result<Vec<Noted>, CommandError> {
        let line = self.hear(deadline)?;
        serde_json::from_str(&line).map_err(|error| {
            CommandError::other(format!("process {} of the stampede printed {line:?}: {error}", self.number))
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself. Then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
