//! [`Decoder`]: parses replies from bytes as they arrive.

use std::borrow::Cow;

use super::limits::{DEPTH, Invalid, LINE, Limits};
use super::line::{Head, parse, without_end};
use super::value::{ErrorReply, Value};

/// Parses one reply after another, in RESP2 or RESP3.
///
/// It keeps what it has of an unfinished reply and looks at each byte once, so that parsing takes linear time even if
/// bytes arrive one by one. After an error it must not be used again.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of an unfinished line.
    line: Vec<u8>,
    string: Option<Unfinished>,
    /// The unfinished lists, the outermost first.
    lists: Vec<List>,
    /// What the current reply has so far, claimed lengths included.
    elements: usize,
    bytes: usize,
}

/// A string whose bytes or end are missing.
#[derive(Debug)]
struct Unfinished {
    kind: u8,
    length: usize,
    data: Vec<u8>,
    /// The number of bytes of the end that have been seen.
    end: usize,
}

/// A list that lacks elements.
#[derive(Debug)]
struct List {
    kind: u8,
    missing: usize,
    elements: Vec<Value>,
}

impl Decoder {
    /// Parses the next reply or push message, and removes the bytes that were used from `input`.
    ///
    /// Returns `None` if all of `input` was used and the reply is not finished.
    ///
    /// # Errors
    /// If the bytes are not valid, or the reply is larger than `limits`.
    pub(crate) fn decode(&mut self, input: &mut &[u8], limits: Limits) -> Result<Option<Value>, Invalid> {
        loop {
            let part = match self.string.take() {
                Some(string) => self.fill(string, input)?,
                None => self.head(input, limits)?,
            };
            match part {
                Progress::Stopped => return Ok(None),
                Progress::Continued => {}
                Progress::Value(part) => {
                    if let Some(reply) = self.place(part) {
                        (self.elements, self.bytes) = (0, 0);
                        return Ok(Some(reply));
                    }
                }
            }
        }
    }

    /// Returns how many bytes are known to be missing, which is at least 1.
    pub(crate) fn missing(&self) -> usize {
        self.string.as_ref().map_or(1, |string| string.length - string.data.len() + 2 - string.end)
    }

    /// Parses a line.
    fn head(&mut self, input: &mut &[u8], limits: Limits) -> Result<Progress, Invalid> {
        let Some(line) = self.line(input)? else { return Ok(Progress::Stopped) };
        let is_push = self.lists.first().is_some_and(|list| list.kind == b'>');
        let limits = if is_push || line.first() == Some(&b'>') { Limits::PUSH } else { limits };
        match parse(&line)? {
            Head::Whole(value) => {
                if matches!(value, Value::Simple(_) | Value::Error(_)) {
                    self.count_bytes(line.len(), limits.total.max(LINE))?;
                }
                Ok(Progress::Value(value))
            }
            Head::String { kind, length } => {
                if length > limits.string {
                    return Err(Invalid::LongString { given: length as u64, limit: limits.string });
                }
                self.count_bytes(length, limits.total)?;
                let data = Vec::with_capacity(length.min(input.len()));
                self.fill(Unfinished { kind, length, data, end: 0 }, input)
            }
            Head::List { kind, count } => self.open(kind, count, limits),
        }
    }

    /// Removes a line from `input` and returns it without its end, or `None` if its end is missing.
    fn line<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Cow<'i, [u8]>>, Invalid> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        *input = rest;
        if self.line.len() + part.len() > LINE {
            return Err(Invalid::LongLine);
        }
        let line = if end.is_some() && self.line.is_empty() {
            Cow::Borrowed(part)
        } else {
            self.line.extend_from_slice(part);
            if end.is_none() {
                return Ok(None);
            }
            Cow::Owned(std::mem::take(&mut self.line))
        };
        without_end(line).map(Some)
    }

    /// Moves bytes from `input` to `string`, which is kept if it remains unfinished.
    fn fill(&mut self, mut string: Unfinished, input: &mut &[u8]) -> Result<Progress, Invalid> {
        string.take_data(input);
        if string.take_end(input)? {
            return string.finish().map(Progress::Value);
        }
        self.string = Some(string);
        Ok(Progress::Stopped)
    }

    fn open(&mut self, kind: u8, count: usize, limits: Limits) -> Result<Progress, Invalid> {
        let is_pairs = matches!(kind, b'%' | b'|');
        let count = if is_pairs { count.saturating_mul(2) } else { count };
        if count > limits.elements.saturating_sub(self.elements) {
            return Err(Invalid::LongList { limit: limits.elements });
        }
        self.elements = self.elements.saturating_add(count);
        match kind {
            b'>' if !self.lists.is_empty() => return Err(Invalid::NestedPush),
            _ if self.lists.len() == DEPTH => return Err(Invalid::Deep),
            b'|' if count == 0 => return Ok(Progress::Continued),
            _ if count == 0 => return Ok(Progress::Value(closed(kind, Vec::new()).unwrap_or(Value::Nil))),
            _ => {}
        }
        // The sum of all claimed counts is limited, and so is what is reserved for them.
        let elements = Vec::with_capacity(count.min(128));
        self.lists.push(List { kind, missing: count, elements });
        Ok(Progress::Continued)
    }

    fn count_bytes(&mut self, more: usize, limit: usize) -> Result<(), Invalid> {
        self.bytes = self.bytes.saturating_add(more);
        if self.bytes > limit { Err(Invalid::Large { limit }) } else { Ok(()) }
    }

    /// Adds `value` to the innermost list, and returns the reply if that completes it.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some(list) = self.lists.last_mut() else { return Some(value) };
            list.elements.push(value);
            list.missing -= 1;
            if list.missing > 0 {
                return None;
            }
            let List { kind, elements, .. } = self.lists.pop()?;
            value = closed(kind, elements)?;
        }
    }
}

/// What was made of some bytes.
enum Progress {
    /// All bytes were used.
    Stopped,
    Continued,
    Value(Value),
}

/// Returns the value of a list, or `None` for attributes, which say something about the next value and are skipped.
fn closed(kind: u8, elements: Vec<Value>) -> Option<Value> {
    match kind {
        b'%' => Some(Value::Map(elements)),
        b'>' => Some(Value::Push(elements)),
        b'|' => None,
        _ => Some(Value::Array(elements)),
    }
}

impl Unfinished {
    fn take_data(&mut self, input: &mut &[u8]) {
        let missing = self.length - self.data.len();
        let (part, rest) = input.split_at(missing.min(input.len()));
        let needed = self.data.len() + part.len();
        if needed > self.data.capacity() {
            // Double the memory, but never beyond the length. At least half of the reserved bytes have arrived.
            let capacity = needed.max(self.data.capacity().saturating_mul(2)).min(self.length);
            self.data.reserve_exact(capacity - self.data.len());
        }
        self.data.extend_from_slice(part);
        *input = rest;
    }

    /// Removes the end of the string from `input`, and returns whether it is complete.
    fn take_end(&mut self, input: &mut &[u8]) -> Result<bool, Invalid> {
        while self.data.len() == self.length && self.end < 2 {
            let Some((byte, rest)) = input.split_first() else { return Ok(false) };
            if *byte != b"\r\n"[self.end] {
                return Err(Invalid::End);
            }
            self.end += 1;
            *input = rest;
        }
        Ok(self.end == 2)
    }

    fn finish(self) -> Result<Value, Invalid> {
        let Unfinished { kind, mut data, .. } = self;
        match kind {
            b'!' => Ok(Value::Error(ErrorReply::new(data))),
            // Three letters and a colon say what kind of text follows.
            b'=' if data.get(3) == Some(&b':') => Ok(Value::Bulk(data.split_off(4))),
            b'=' => Err(Invalid::End),
            _ => Ok(Value::Bulk(data)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { elements: 64, string: 64, total: 128 };

    fn decoded(bytes: &[u8]) -> Result<Option<Value>, Invalid> {
        Decoder::default().decode(&mut &bytes[..], LIMITS)
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn every_type_of_reply_is_parsed() {
        let one = || vec![Value::Integer(1)];
        let replies: [(&[u8], Value); 21] = [
            (b"+OK\r\n", Value::Simple(b"OK".to_vec())),
            (b"-ERR no\r\n", Value::Error(ErrorReply::new("ERR no"))),
            (b":-7\r\n", Value::Integer(-7)),
            (b"$3\r\na\r\n\r\n", bulk("a\r\n")),
            (b"$0\r\n\r\n", bulk("")),
            (b"$-1\r\n", Value::Nil),
            (b"*-1\r\n", Value::Nil),
            (b"_\r\n", Value::Nil),
            (b"*0\r\n", Value::Array(vec![])),
            (b"*1\r\n:1\r\n", Value::Array(one())),
            (b"~1\r\n:1\r\n", Value::Array(one())),
            (b"%1\r\n$1\r\nk\r\n_\r\n", Value::Map(vec![bulk("k"), Value::Nil])),
            (b">1\r\n:1\r\n", Value::Push(one())),
            (b"|1\r\n+a\r\n+b\r\n:1\r\n", Value::Integer(1)),
            (b"|0\r\n:1\r\n", Value::Integer(1)),
            (b",1.5\r\n", Value::Double(1.5)),
            (b",-inf\r\n", Value::Double(f64::NEG_INFINITY)),
            (b"#t\r\n", Value::Boolean(true)),
            (b"(-123456789012345678901\r\n", Value::Simple(b"-123456789012345678901".to_vec())),
            (b"!5\r\nERR x\r\n", Value::Error(ErrorReply::new("ERR x"))),
            (b"=5\r\ntxt:a\r\n", bulk("a")),
        ];
        for (bytes, expected) in replies {
            assert_eq!(decoded(bytes), Ok(Some(expected)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn malformed_reply_is_refused() {
        let malformed: [&[u8]; 24] = [
            b"\r\n",
            b"\n",
            b"+a\n",
            b"+a\rb\r\n",
            b"?1\r\n",
            b"x\r\n",
            b":\r\n",
            b":1x\r\n",
            b":99999999999999999999\r\n",
            b"$-2\r\n",
            b"$+1\r\n",
            b"$?\r\n",
            b"$1\r\nab",
            b"$1\r\na\rb",
            b"*-2\r\n",
            b"%-1\r\n",
            b"|-1\r\n",
            b"=-1\r\n",
            b"!-7\r\n",
            b"=3\r\ntxt\r\n",
            b"#x\r\n",
            b"(1.5\r\n",
            b",x\r\n",
            b"_x\r\n",
        ];
        for bytes in malformed {
            assert!(decoded(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn claimed_length_beyond_a_limit_is_refused_at_once() {
        let huge = [
            (&b"$9223372036854775807\r\n"[..], "a string has 9223372036854775807 bytes"),
            (b"$65\r\n", "a string has 65 bytes, more than 64"),
            (b"*9223372036854775807\r\n", "longer than 64 elements"),
            (b"%33\r\n", "longer than 64 elements"),
            (b"|4611686018427387903\r\n", "longer than 64 elements"),
            (b"*2\r\n*60\r\n*60\r\n", "longer than 64 elements"),
            (b"*2\r\n*64\r\n", "longer than 64 elements"),
            (b">1025\r\n", "longer than 1024 elements"),
            (b"*1\r\n>1\r\n:1\r\n", "a push message is part of another value"),
        ];
        for (bytes, why) in huge {
            let error = decoded(bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{}: {error}", bytes.escape_ascii());
        }
        let value = format!("$64\r\n{}\r\n", "a".repeat(64));
        let many = format!("*3\r\n{}$1\r\n", value.repeat(2));
        assert_eq!(decoded(many.as_bytes()), Err(Invalid::Large { limit: 128 }));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
        assert!(decoded(&nested(8)).unwrap().is_some());
        assert_eq!(decoded(&nested(9)), Err(Invalid::Deep));
        assert!(decoded(&nested(1_000_000)).is_err());
    }

    #[test]
    fn endless_line_is_refused() {
        let mut decoder = Decoder::default();
        let chunk = [b'a'; 4096];
        assert_eq!(decoder.decode(&mut &b"+"[..], LIMITS), Ok(None));
        let refused = (0..5).find_map(|_| decoder.decode(&mut &chunk[..], LIMITS).err());
        assert_eq!(refused, Some(Invalid::LongLine));
    }

    #[test]
    fn memory_is_reserved_as_bytes_arrive() {
        let limits = Limits { elements: 1 << 20, string: 1 << 40, total: 1 << 40 };
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut &b"$1000000000000\r\nabc"[..], limits), Ok(None));
        assert_eq!(decoder.missing(), 1_000_000_000_000 - 1);
        assert!(decoder.string.unwrap().data.capacity() < 16);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut &b"*1000000\r\n:1\r\n"[..], limits), Ok(None));
        assert!(decoder.lists[0].elements.capacity() <= 128);
    }

    /// A decoder that looked at the bytes again for each one that arrives would take hours.
    #[test]
    fn large_reply_is_parsed_byte_by_byte() {
        let limits = Limits { elements: 100_000, string: 8 << 20, total: 16 << 20 };
        let string = [&b"$8388608\r\n"[..], &vec![b'v'; 8 << 20], b"\r\n"].concat();
        let list = [&b"*100000\r\n"[..], &b"$1\r\na\r\n".repeat(100_000)].concat();
        for bytes in [string, list] {
            let mut decoder = Decoder::default();
            let replies = bytes.iter().filter_map(|byte| decoder.decode(&mut &[*byte][..], limits).unwrap());
            assert_eq!(replies.count(), 1);
        }
    }
}
