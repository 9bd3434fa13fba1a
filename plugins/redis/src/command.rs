//! [`Command`], [`Request`], and [`Reply`]: what is sent to a server, and what it returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dogpile_sdk::BackendError;

use crate::error;
use crate::resp::{self, Expected, Likeness, Value};

/// A command, and the key that selects its server.
pub(crate) struct Command<'k> {
    pub(crate) key: &'k str,
    arguments: Vec<Argument<'k>>,
    expected: Expected,
}

/// An argument of a command.
pub(crate) enum Argument<'k> {
    Bytes(&'k [u8]),
    Number(u64),
}

impl<'k> From<&'k str> for Argument<'k> {
    fn from(text: &'k str) -> Self {
        Argument::Bytes(text.as_bytes())
    }
}

impl<'k> From<&'k [u8]> for Argument<'k> {
    fn from(bytes: &'k [u8]) -> Self {
        Argument::Bytes(bytes)
    }
}

impl From<u64> for Argument<'_> {
    fn from(number: u64) -> Self {
        Argument::Number(number)
    }
}

impl<'k> Command<'k> {
    /// Creates the command `name` with `key` as its first argument.
    pub(crate) fn new(name: &'static str, key: &'k str, expected: Expected) -> Self {
        Command { key, arguments: vec![name.into(), key.into()], expected }
    }

    /// Creates a command that runs `script` with `key` as its only key. The script returns an integer.
    pub(crate) fn script(script: &'static str, key: &'k str) -> Self {
        let arguments = vec!["EVAL".into(), script.into(), Argument::Number(1), key.into()];
        Command { key, arguments, expected: Expected::Verdict }
    }

    /// Creates a command that runs `script` with pairs of keys. `key` selects its server.
    pub(crate) fn script_of(script: &'static str, key: &'k str, keys: &[(&'k str, &'k str)]) -> Self {
        let mut arguments = vec!["EVAL".into(), script.into(), Argument::Number(keys.len() as u64 * 2)];
        arguments.extend(keys.iter().flat_map(|(first, second)| [Argument::from(*first), (*second).into()]));
        Command { key, arguments, expected: Expected::Verdict }
    }

    pub(crate) fn arg(mut self, argument: impl Into<Argument<'k>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Returns about how many bytes the packed command has.
    fn size(&self) -> usize {
        let size = |argument: &Argument<'_>| match argument {
            Argument::Bytes(bytes) => bytes.len() + 16,
            Argument::Number(_) => 32,
        };
        self.arguments.iter().map(size).sum::<usize>() + 16
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = &'k str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Argument::from));
        self
    }
}

/// Whether a command only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Whether a command may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Sending it twice has the same effect as sending it once.
    Harmless,
    /// It must not be sent twice.
    Never,
}

/// Commands that are sent to a server together, and the kinds of their replies.
#[derive(Clone, Default)]
pub(crate) struct Request {
    packed: Vec<u8>,
    pub(crate) expected: Vec<Expected>,
    /// Where each command ends in the packed request.
    #[cfg(feature = "tokio")]
    ends: Vec<usize>,
    guard: Option<Guard>,
}

/// A last command, whose reply no other command has. It shows that all replies before it are at their places.
#[derive(Clone)]
struct Guard {
    /// Where the command begins in the packed request.
    begin: usize,
    reply: Expected,
    /// Whether the request has several values, which could be mistaken for each other.
    is_of_a_batch: bool,
    /// What a surplus reply could be mistaken for.
    has_value: bool,
    has_verdict: bool,
}

impl Request {
    pub(crate) fn new<'c, 'k: 'c>(commands: impl IntoIterator<Item = &'c Command<'k>>) -> Self {
        let mut request = Request::default();
        commands.into_iter().for_each(|command| request.add(command));
        request.guarded()
    }

    /// Adds a guard if the request reads values, or a number on which the caller acts.
    pub(crate) fn guarded(mut self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let is_value = |expected: &&Expected| expected.likeness() == Some(Likeness::Value);
        let values = self.expected.iter().filter(is_value).count();
        let has_verdict = self.expected.contains(&Expected::Verdict);
        if values == 0 && !has_verdict {
            return self;
        }
        let (begin, number) = (self.packed.len(), NEXT.fetch_add(1, Ordering::Relaxed));
        resp::command(2, &mut self.packed);
        resp::bulk(b"ECHO", &mut self.packed);
        resp::number(number, &mut self.packed);
        let (reply, is_of_a_batch, has_value) = (Expected::Echo(number), values > 1, values > 0);
        Request { guard: Some(Guard { begin, reply, is_of_a_batch, has_value, has_verdict }), ..self }
    }

    /// Returns the packed commands, without the guard unless `is_guarded`.
    pub(crate) fn packed(&self, is_guarded: bool) -> &[u8] {
        match &self.guard {
            Some(guard) if !is_guarded => &self.packed[..guard.begin],
            _ => &self.packed,
        }
    }

    /// Returns the kind of the guard's reply, if the request needs a guard. A request for one value or number needs it only
    /// if it follows another one.
    pub(crate) fn guard(&self, follows: Option<Likeness>) -> Option<Expected> {
        let guard = self.guard.as_ref()?;
        let is_confusable = match follows {
            Some(Likeness::Value) => guard.has_value,
            Some(Likeness::Number) => guard.has_verdict,
            None => false,
        };
        (guard.is_of_a_batch || is_confusable).then_some(guard.reply)
    }

    pub(crate) fn add(&mut self, command: &Command<'_>) {
        self.packed.reserve(command.size());
        resp::command(command.arguments.len(), &mut self.packed);
        for argument in &command.arguments {
            match argument {
                Argument::Bytes(bytes) => resp::bulk(bytes, &mut self.packed),
                Argument::Number(number) => resp::number(*number, &mut self.packed),
            }
        }
        self.expect(command.expected);
    }

    /// Notes what the reply to the last command is.
    fn expect(&mut self, expected: Expected) {
        self.expected.push(expected);
        #[cfg(feature = "tokio")]
        self.ends.push(self.packed.len());
    }

    /// Returns where the command with this number ends among the packed commands.
    #[cfg(feature = "tokio")]
    pub(crate) fn end_of(&self, command: usize) -> Option<usize> {
        self.ends.get(command).copied()
    }

    /// Adds the commands of another request, without its guard.
    #[cfg(feature = "tokio")]
    pub(crate) fn append(&mut self, other: &Request) {
        let begin = self.packed.len();
        self.packed.extend_from_slice(other.packed(false));
        self.expected.extend_from_slice(&other.expected);
        self.ends.extend(other.ends.iter().map(|end| begin + end));
    }

    /// Adds a command that has no key.
    pub(crate) fn with(mut self, words: &[&str], expected: Expected) -> Self {
        resp::command(words.len(), &mut self.packed);
        words.iter().for_each(|word| resp::bulk(word.as_bytes(), &mut self.packed));
        self.expect(expected);
        self
    }
}

/// The reply to a command, and the server that sent it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) value: Value,
    pub(crate) server: Arc<str>,
}

impl Reply {
    /// Returns the code of an error reply, such as `MOVED`.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.value {
            Value::Error(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Returns the value.
    ///
    /// # Errors
    /// If it is an error reply.
    pub(crate) fn accepted(self) -> Result<Value, BackendError> {
        match self.value {
            Value::Error(error) => Err(error::rejected(&error, &self.server)),
            value => Ok(value),
        }
    }

    /// Converts the reply. `convert` returns `None` for a value of another type.
    ///
    /// # Errors
    /// If it is an error reply, or if it has another type.
    pub(crate) fn read<T>(self, convert: impl FnOnce(Value) -> Option<T>) -> Result<T, BackendError> {
        let server = Arc::clone(&self.server);
        convert(self.accepted()?).ok_or_else(|| error::unexpected(&server))
    }

    /// Returns a string, or `None` for nil.
    pub(crate) fn string(self) -> Result<Option<Vec<u8>>, BackendError> {
        self.read(string)
    }

    /// Returns an array of strings.
    pub(crate) fn strings(self) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        self.read(|value| value.into_elements()?.into_iter().map(string).collect())
    }

    pub(crate) fn integer(self) -> Result<i64, BackendError> {
        self.read(Value::into_integer)
    }
}

fn string(value: Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Nil => Some(None),
        value => value.into_bytes().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_its_packed_commands() {
        let set = Command::new("SETEX", "key", Expected::Done).arg(60).arg(&b"\0"[..]);
        let get = Command::new("MGET", "a", Expected::Values(2)).args(["b"]);
        let mut request = Request::default();
        [set, get].iter().for_each(|command| request.add(command));
        let request = request.with(&["ASKING"], Expected::Done).guarded();
        let expected = b"*4\r\n$5\r\nSETEX\r\n$3\r\nkey\r\n$2\r\n60\r\n$1\r\n\0\r\n\
            *3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$6\r\nASKING\r\n";
        assert_eq!(request.packed(false).escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(request.expected, [Expected::Done, Expected::Values(2), Expected::Done]);
        let writes = Request::new([&Command::new("DEL", "key", Expected::Integer)]);
        for follows in [None, Some(Likeness::Value), Some(Likeness::Number)] {
            assert_eq!((writes.guard(follows), writes.packed(true)), (None, writes.packed(false)));
        }
    }

    #[test]
    fn request_of_one_value_has_a_guard_after_another_value() {
        let get = Request::new(&[Command::new("GET", "key", Expected::Value)]);
        assert_eq!((get.guard(None), get.guard(Some(Likeness::Number))), (None, None));
        assert!(get.guard(Some(Likeness::Value)).is_some());
        assert!(get.packed(true).starts_with(get.packed(false)));
    }

    #[test]
    fn script_has_a_guard_after_another_number() {
        let script = Request::new(&[Command::script("return 1", "key")]);
        assert_eq!((script.guard(None), script.guard(Some(Likeness::Value))), (None, None));
        assert!(script.guard(Some(Likeness::Number)).is_some());
    }

    #[test]
    fn request_of_several_values_has_a_guard() {
        let gets = ["a", "b"].map(|key| Command::new("GET", key, Expected::Value));
        let (one, two) = (Request::new(&gets), Request::new(&gets));
        assert!(one.guard(None).is_some() && one.guard(None) != two.guard(None));
        assert_eq!(one.expected, [Expected::Value; 2]);
        let gets = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n";
        assert_eq!(one.packed(false), gets);
        let Some(Expected::Echo(number)) = one.guard(None) else { panic!("it has a guard") };
        let number = number.to_string();
        let guard = format!("*2\r\n$4\r\nECHO\r\n${}\r\n{number}\r\n", number.len());
        assert_eq!(one.packed(true), [&gets[..], guard.as_bytes()].concat());
    }
}
