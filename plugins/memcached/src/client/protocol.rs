//! What is asked of a server, and what it answers, in each of the three protocols.

mod binary;
mod classic;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod fuzz;
mod meta;

use std::io;

pub(super) use self::binary::{is_logged_in, log_in};
use super::stream::Input;

/// The protocols of a server, as far as they are chosen by the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Meta commands, or, with a server that has none, the classic text protocol.
    Text,
    /// The binary protocol: the only one of a server in SASL mode.
    Binary,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Meta,
    Classic,
    Binary,
}

/// One thing asked of a server. Keys must have been [checked](super::check_key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// The item of `key`, and its cas value.
    Get {
        /// The key.
        key: &'a str,
    },
    /// Stores `value`.
    Store {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a [u8],
        /// What the client keeps beside it.
        flags: u32,
        /// When it vanishes: in that many seconds, up to 30 days; beyond, at that time since the Unix epoch; 0: never.
        expiry: u32,
        /// When to store it.
        when: When,
    },
    /// Removes the item of `key`; if there is a cas value, only if the item has it.
    Delete {
        /// The key.
        key: &'a str,
        /// The cas value.
        cas: Option<u64>,
    },
}

/// When a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In any case.
    Always,
    /// If there is none.
    Absent,
    /// If the one that is there has this cas value.
    Unchanged(u64),
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The item.
    Value {
        /// What was stored.
        data: Vec<u8>,
        /// What the client kept beside it.
        flags: u32,
        /// A number that changes with the item.
        cas: u64,
    },
    /// There is none.
    Miss,
    /// It was stored or removed.
    Done,
    /// It was not stored, or not removed: there is another.
    NotDone,
    /// The server refuses, and says why.
    Refused(String),
}

impl<'a> Operation<'a> {
    /// Its key.
    pub fn key(&self) -> &'a str {
        match self {
            Operation::Get { key } | Operation::Store { key, .. } | Operation::Delete { key, .. } => key,
        }
    }
}

/// The largest item that any server can be told to take.
const LARGEST: usize = 1 << 30;

/// The longest line of an answer: a key, some numbers, or a complaint.
pub(super) const LONGEST_LINE: usize = 2048;

impl Dialect {
    /// Appends `operation`, the `number`th of those that are sent together; `is_unanswered`, if nothing is to be said of
    /// a value that is stored, which the binary protocol cannot.
    pub(super) fn write(
        self,
        operation: &Operation<'_>,
        number: u32,
        is_unanswered: bool,
        out: &mut Vec<u8>,
    ) {
        match self {
            Dialect::Meta => meta::write(operation, is_unanswered, out),
            Dialect::Classic => classic::write(operation, is_unanswered, out),
            Dialect::Binary => binary::write(operation, number, out),
        }
    }

    /// Reads the answer to it.
    pub(super) fn read(
        self,
        operation: &Operation<'_>,
        number: u32,
        input: &mut impl Input,
    ) -> io::Result<Answer> {
        match self {
            Dialect::Meta => meta::read(operation, input),
            Dialect::Classic => classic::read(operation, input),
            Dialect::Binary => binary::read(operation, number, input),
        }
    }
}

/// What no answer of a server to what it was asked looks like.
fn confused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The refusal that `line` is, if it is one. After any other complaint it is not clear what the server has read.
fn refusal(line: &[u8]) -> io::Result<Option<Answer>> {
    let text = || String::from_utf8_lossy(line).into_owned();
    if let Some(why) = line.strip_prefix(b"SERVER_ERROR") {
        return Ok(Some(Answer::Refused(String::from_utf8_lossy(why).trim().to_owned())));
    }
    if line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"ERROR") {
        return Err(confused(text()));
    }
    Ok(None)
}

/// The number that `digits` are.
fn number<N: std::str::FromStr>(digits: &[u8]) -> io::Result<N> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| confused(format!("{:?} is no number", String::from_utf8_lossy(digits))))
}

/// The data of an item of `length`, and the line end after it.
fn data(length: usize, input: &mut impl Input) -> io::Result<Vec<u8>> {
    if length > LARGEST {
        return Err(confused(format!("an item of {length} bytes")));
    }
    let item = input.bytes(length + 2)?;
    match item.split_at(length) {
        (data, b"\r\n") => Ok(data.to_vec()),
        _ => Err(confused("an item has no end")),
    }
}

fn check_key(answered: &[u8], asked: &str) -> io::Result<()> {
    if answered == asked.as_bytes() {
        return Ok(());
    }
    Err(confused(format!("{:?} instead of {asked:?}", String::from_utf8_lossy(answered))))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;

    use super::Input;

    /// What a server would have sent.
    pub(super) struct Sent<'a>(pub(super) &'a [u8]);

    impl Input for Sent<'_> {
        fn line(&mut self, limit: usize) -> io::Result<&[u8]> {
            let end = self.0.windows(2).position(|pair| pair == b"\r\n").filter(|end| *end <= limit);
            let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
            let (line, rest) = self.0.split_at(end);
            self.0 = &rest[2..];
            Ok(line)
        }

        fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
            let (bytes, rest) = self.0.split_at_checked(count).ok_or(io::ErrorKind::UnexpectedEof)?;
            self.0 = rest;
            Ok(bytes)
        }
    }
}
