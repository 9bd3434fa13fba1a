//! `dogpile top`: shows live what regions and their servers do.

mod rates;
mod reading;
mod server;
mod snapshot;
mod sockets;
mod system;
mod targets;
mod view;

use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use self::reading::{Reader, Reading};
use self::system::{Keyboard, size};
use self::targets::Targets;
use crate::answer::{Answer, Answered};
use crate::arguments::Top;
use crate::error::CommandError;
use crate::page::{Page, cut, safe_json};

/// How often the keyboard is read while processes and servers are asked.
const PAUSE: Duration = Duration::from_millis(50);

/// How a reading is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// Page after page.
    Text,
    /// One page, which is written over the last one.
    Screen,
}

/// The end of the view.
struct Ended {
    is_good: bool,
}

/// Shows readings until their number is reached, the user ends the view, or the output is closed.
pub(super) fn run(asked: &Top, json: bool) -> Answered {
    let targets = Targets::of(asked)?;
    let is_screen = stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let form = match (json, is_screen && !asked.once) {
        (true, _) => Form::Json,
        (false, true) => Form::Screen,
        (false, false) => Form::Text,
    };
    let count = if asked.once { Some(1) } else { asked.count };
    let readings = start(targets)?;
    let mut keyboard = (form == Form::Screen).then(Keyboard::open);
    let mut is_good = true;
    for number in 0.. {
        let next = Instant::now() + asked.interval;
        let Some(reading) = readings.next(keyboard.as_mut())? else { break };
        is_good = reading.has_replies();
        match write(form, number == 0, &reading) {
            Ok(()) => {}
            // A reader that closes the pipe early, such as `head`, ends the view.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(source) => return Err(CommandError::Output { source }),
        }
        if count.is_some_and(|count| number + 1 >= count) {
            break;
        }
        match &mut keyboard {
            Some(keyboard) => {
                if keyboard.ends_before(next) {
                    break;
                }
            }
            None => thread::sleep(next.saturating_duration_since(Instant::now())),
        }
    }
    Ok(Box::new(Ended { is_good }))
}

/// The readings of a thread, so that the keyboard is read meanwhile. The thread ends when they are dropped.
struct Readings {
    requests: mpsc::Sender<()>,
    readings: mpsc::Receiver<Reading>,
}

fn start(targets: Targets) -> Result<Readings, CommandError> {
    let ((requests, requested), (sender, readings)) = (mpsc::channel(), mpsc::channel());
    let mut reader = Reader::new(targets);
    let work = move || {
        while requested.recv().is_ok() {
            if sender.send(reader.read()).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("readings".to_owned()).spawn(work);
    thread.map_err(|error| CommandError::other(format!("cannot start a thread: {error}")))?;
    Ok(Readings { requests, readings })
}

impl Readings {
    /// Returns the next reading, or `None` if the user ends the view before.
    fn next(&self, mut keyboard: Option<&mut Keyboard>) -> Result<Option<Reading>, CommandError> {
        let gone = || CommandError::other("the thread that reads processes and servers has ended");
        self.requests.send(()).map_err(|_| gone())?;
        loop {
            match self.readings.recv_timeout(PAUSE) {
                Ok(reading) => return Ok(Some(reading)),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if keyboard.as_deref_mut().is_some_and(|keyboard| keyboard.ends_before(Instant::now())) {
                return Ok(None);
            }
        }
    }
}

fn write(form: Form, is_first: bool, reading: &Reading) -> std::io::Result<()> {
    let text = match form {
        Form::Json => safe_json(&format!("{}\n", view::json(reading))),
        Form::Text | Form::Screen => {
            let mut page = Page::new();
            view::show(&mut page, reading);
            let text = painted(page.into_text());
            match form {
                Form::Screen => on_screen(&text, is_first, size()),
                _ if is_first => text,
                _ => format!("\n{text}"),
            }
        }
    };
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Returns `text` without colors, unless the standard output shows them.
fn painted(text: String) -> String {
    match anstream::AutoStream::choice(&stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(&text).to_string(),
        _ => text,
    }
}

/// Returns `text` with what writes it over the text before it, cut to the lines and columns of the terminal.
fn on_screen(text: &str, is_first: bool, size: Option<(usize, usize)>) -> String {
    let (height, width) = size.unwrap_or((usize::MAX, usize::MAX));
    let lines: Vec<&str> = text.lines().collect();
    // The cursor needs the last line.
    let most = height.max(3) - 1;
    let (kept, left_out) =
        if lines.len() <= most { (lines.len(), 0) } else { (most - 1, lines.len() - most + 1) };
    let mut screen = if is_first { "\u{1b}[2J\u{1b}[H".to_owned() } else { "\u{1b}[H".to_owned() };
    let rest = (left_out > 0).then(|| format!("... {left_out} more lines: use a higher terminal"));
    for line in lines[..kept].iter().copied().chain(rest.as_deref()) {
        // The line is cleared first: after it, the cursor may be on its last column. A longer line would take two, and
        // move the lines above out of the screen.
        screen.push_str("\u{1b}[K");
        screen.push_str(&cut(line, width));
        screen.push('\n');
    }
    screen + "\u{1b}[J"
}

impl Answer for Ended {
    fn json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn show(&self, _page: &mut Page) {}

    fn is_written(&self) -> bool {
        true
    }

    fn is_good(&self) -> bool {
        self.is_good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_is_cut_to_the_size_of_the_terminal() {
        let text = "1\n2\n3\n4\n5\n";
        let high = on_screen("1\n2\n", true, Some((3, 80)));
        assert_eq!(high, "\u{1b}[2J\u{1b}[H\u{1b}[K1\n\u{1b}[K2\n\u{1b}[J");
        assert_eq!(
            on_screen(text, false, Some((4, 20))),
            "\u{1b}[H\u{1b}[K1\n\u{1b}[K2\n\u{1b}[K... 3 more lines: us\n\u{1b}[J"
        );
        assert_eq!(on_screen(text, false, None).matches("\u{1b}[K").count(), 5);
    }
}
