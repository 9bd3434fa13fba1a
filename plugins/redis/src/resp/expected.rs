//! [`Expected`]: the kind of reply that a command has.

use super::limits::{Invalid, Limits};
use super::value::Value;

/// The kind of reply that a command has. Any command may be rejected with an error reply instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A string or nil.
    Value,
    /// An array with this many strings or nils.
    Values(usize),
    /// An integer that hardly matters.
    Integer,
    /// An integer on which the caller acts, such as whether a lock was acquired.
    Verdict,
    /// The status `OK`.
    Done,
    /// An array, a map, or nil, whose parts the caller checks.
    List,
    /// This number as a string, which no other command of the connection has as its reply. A server that does not know
    /// the command may send a status.
    Echo(u64),
    /// A push message, or anything that a server sends while it is only listened to.
    Message,
}

/// What a reply could be mistaken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// The value of a key.
    Value,
    /// The number that a command returns.
    Number,
}

impl Expected {
    /// The most bytes of all values in one reply, unless a single value may have more.
    const TOTAL: usize = 1 << 30;
    /// The most bytes of a string in a reply that is not a value.
    const TEXT: usize = 64 << 10;
    /// The most elements in a list. A slot map of 16,384 ranges with three nodes each has about 300,000.
    const ELEMENTS: usize = 1 << 20;
    /// Elements that are tolerated where none are expected, so that a wrong reply is reported as such.
    const MORE: usize = 64;

    /// Returns the limits of the reply, if one value has at most `value` bytes.
    pub(crate) fn limits(self, value: usize) -> Limits {
        match self {
            Expected::Value => Limits { elements: Self::MORE, string: value, total: value },
            Expected::Values(count) => {
                let total = value.saturating_mul(count).min(Self::TOTAL.max(value));
                Limits { elements: count.saturating_add(Self::MORE), string: value, total }
            }
            Expected::Integer | Expected::Verdict | Expected::Done | Expected::Echo(_) => {
                Limits { elements: Self::MORE, ..Limits::PUSH }
            }
            Expected::List => Limits { elements: Self::ELEMENTS, string: Self::TEXT, total: Self::TOTAL / 8 },
            Expected::Message => Limits::PUSH,
        }
    }

    /// Returns what it could be mistaken for, if it is one of many replies that look alike.
    pub(crate) fn likeness(self) -> Option<Likeness> {
        match self {
            Expected::Value | Expected::Values(_) => Some(Likeness::Value),
            Expected::Integer | Expected::Verdict => Some(Likeness::Number),
            Expected::Done | Expected::List | Expected::Echo(_) | Expected::Message => None,
        }
    }

    /// Returns an error unless `value` is the expected reply or an error reply.
    pub(crate) fn check(self, value: &Value) -> Result<(), Invalid> {
        let is_value = |value: &Value| matches!(value, Value::Bulk(_) | Value::Nil);
        let kind = |expected| Err(Invalid::Kind { given: value.kind(), expected });
        match (self, value) {
            (_, Value::Error(_)) | (Expected::Message, _) => Ok(()),
            (Expected::Integer | Expected::Verdict, Value::Integer(_)) => Ok(()),
            (Expected::Value, value) if is_value(value) => Ok(()),
            (Expected::Values(expected), Value::Array(values)) if values.len() != expected => {
                Err(Invalid::Count { given: values.len(), expected })
            }
            (Expected::Values(_), Value::Array(values)) if values.iter().all(is_value) => Ok(()),
            (Expected::Done, Value::Simple(status)) if status == b"OK" => Ok(()),
            (Expected::List, Value::Array(_) | Value::Map(_) | Value::Nil) => Ok(()),
            (Expected::Echo(number), Value::Bulk(text)) if *text == number.to_string().into_bytes() => Ok(()),
            (Expected::Echo(_), Value::Simple(_)) => Ok(()),
            (Expected::Echo(_), _) => Err(Invalid::Unread),
            (Expected::Value, _) => kind("a value"),
            (Expected::Values(_), _) => kind("an array of values"),
            (Expected::Integer | Expected::Verdict, _) => kind("an integer"),
            (Expected::Done, _) => kind("the status OK"),
            (Expected::List, _) => kind("an array or map"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_of_another_kind_or_count_is_refused() {
        let string = || Value::Bulk(b"v".to_vec());
        let ok = || Value::Simple(b"OK".to_vec());
        let error = Value::Error(super::super::ErrorReply::new("ERR"));
        let fitting = [
            (Expected::Value, string()),
            (Expected::Value, Value::Nil),
            (Expected::Values(2), Value::Array(vec![string(), Value::Nil])),
            (Expected::Integer, Value::Integer(3)),
            (Expected::Done, ok()),
            (Expected::List, Value::Map(vec![])),
            (Expected::Echo(7), Value::Bulk(b"7".to_vec())),
            (Expected::Echo(7), ok()),
        ];
        for (expected, value) in fitting {
            assert_eq!(expected.check(&value), Ok(()), "{expected:?}");
            assert_eq!(expected.check(&error), Ok(()), "{expected:?}");
        }
        let other = [
            (Expected::Value, ok()),
            (Expected::Value, Value::Integer(3)),
            (Expected::Values(1), Value::Array(vec![Value::Integer(3)])),
            (Expected::Values(1), Value::Nil),
            (Expected::Integer, string()),
            (Expected::Done, string()),
            (Expected::Done, Value::Simple(b"QUEUED".to_vec())),
            (Expected::List, Value::Integer(3)),
        ];
        for (expected, value) in other {
            assert!(matches!(expected.check(&value), Err(Invalid::Kind { .. })), "{expected:?}");
        }
        for (number, text) in [(7, "8"), (7, "07"), (7, ""), (7, "the value of another key")] {
            let refused = Expected::Echo(number).check(&Value::Bulk(text.into()));
            assert_eq!(refused, Err(Invalid::Unread), "{text}");
        }
        let few = Expected::Values(2).check(&Value::Array(vec![string()]));
        assert_eq!(few.map_err(|error| error.to_string()), Err("1 values for 2 keys".to_owned()));
    }

    #[test]
    fn total_of_values_is_capped() {
        assert_eq!(Expected::Values(100).limits(1 << 10).total, 100 << 10);
        assert_eq!(Expected::Values(100).limits(512 << 20).total, 1 << 30);
        assert_eq!(Expected::Values(2).limits(3 << 30).total, 3 << 30);
    }
}
