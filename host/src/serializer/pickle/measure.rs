//! Measures what a pickle would become, before it is read.
//!
//! A few bytes can say "a list in a list in a list...", which exhausts the stack, or "this twice, and that twice...",
//! which exhausts the memory. So the pickle's program is run first with a measure in place of each value. What no
//! pickler writes, such as changing a list after it was put into another, is refused: it could hide from the measure.

use std::collections::HashMap;
use std::fmt;

/// How deep values may lie in each other, as in JSON.
const MAX_DEPTH: u32 = 128;

/// How many marks may be open at once: a value that lies in another has one or two.
const MAX_MARKS: usize = 2 * MAX_DEPTH as usize;

/// What a value takes besides its bytes, roughly.
const VALUE_BYTES: u64 = 64;

/// What values may take by being in the pickle once and in the outcome many times.
const SHARED_BYTES: u64 = 64 << 20;

/// Why a pickle is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Cut,
    Unknown(u8),
    Ill,
    Deep,
    Large,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Cut => f.write_str("the pickle is cut off"),
            Refused::Unknown(code) => {
                write!(f, "the pickle has the code {code:#04x}, which is not supported")
            }
            Refused::Ill => f.write_str("no pickler writes such a pickle"),
            Refused::Deep => write!(f, "values lie in each other more than {MAX_DEPTH} deep"),
            Refused::Large => f.write_str("the pickle would become too large"),
        }
    }
}

impl std::error::Error for Refused {}

/// Stands for a value.
#[derive(Clone, Copy, Default)]
struct Measure {
    /// How many values lie in each other below it.
    depth: u32,
    bytes: u64,
    /// Whether it lies in another one, and so must not change any more.
    settled: bool,
    noted: bool,
}

struct Machine<'a> {
    rest: &'a [u8],
    limit: u64,
    /// What was copied on the way.
    copied: u64,
    measures: Vec<Measure>,
    /// Into `measures`, as are the values of `memo`.
    stack: Vec<usize>,
    /// How long the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
}

/// Answers whether `pickle` may be read.
pub(super) fn check(pickle: &[u8]) -> Result<(), Refused> {
    let unshared = (VALUE_BYTES + 2).saturating_mul(pickle.len() as u64);
    let mut machine = Machine {
        rest: pickle,
        limit: unshared.saturating_add(SHARED_BYTES),
        copied: 0,
        measures: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let code = machine.take(1)?[0];
        if code == b'.' {
            let outcome = machine.pop()?;
            return machine.pay(machine.measures[outcome].bytes);
        }
        machine.step(code)?;
    }
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), Refused> {
        match code {
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'N' | 0x88 | 0x89 | b']' | b'}' | b')' | 0x8f => self.leaf(0),
            b'I' | b'L' | b'F' | b'S' | b'V' => self.line().and_then(|length| self.leaf(length)),
            b'K' => self.fixed(1),
            b'M' => self.fixed(2),
            b'J' => self.fixed(4),
            b'G' => self.fixed(8),
            0x8a | b'C' | b'U' | 0x8c => self.counted(1),
            0x8b | b'B' | b'T' | b'X' => self.counted(4),
            0x8e | 0x8d | 0x96 => self.counted(8),
            b'c' => self.line().and(self.line()).and(self.leaf(0)),
            b'(' | b'0' | b'1' => self.mark_or_pop(code),
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(code),
            0x85..=0x87 => self.wrap(usize::from(code - 0x84)),
            b't' | b'l' | b'd' | 0x91 => {
                self.close_mark().and_then(|from| self.wrap(self.stack.len() - from))
            }
            b'a' => self.put_into(1),
            b's' => self.put_into(2),
            b'e' | b'u' | 0x90 => self.close_mark().and_then(|from| self.put_into(self.stack.len() - from)),
            0x93 | b'R' | b'i' | b'o' | 0x81 | 0x92 | b'b' => self.call(code),
            other => Err(Refused::Unknown(other)),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Refused::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes a line, and answers its length.
    fn line(&mut self) -> Result<usize, Refused> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(Refused::Cut)?;
        self.take(end + 1).map(<[u8]>::len)
    }

    /// The number in the next bytes, the lowest first.
    fn number(&mut self, length: usize) -> Result<u64, Refused> {
        let bytes = self.take(length)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn push(&mut self, measure: Measure) -> Result<(), Refused> {
        if measure.depth > MAX_DEPTH {
            return Err(Refused::Deep);
        }
        self.stack.push(self.measures.len());
        self.measures.push(measure);
        Ok(())
    }

    fn pop(&mut self) -> Result<usize, Refused> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(Refused::Ill);
        }
        self.stack.pop().ok_or(Refused::Ill)
    }

    fn leaf(&mut self, length: usize) -> Result<(), Refused> {
        // A character beyond ASCII takes two bytes where its line had one.
        let bytes = (2 * length as u64).saturating_add(VALUE_BYTES);
        self.push(Measure { bytes, ..Measure::default() })
    }

    fn fixed(&mut self, length: usize) -> Result<(), Refused> {
        self.take(length)?;
        self.leaf(0)
    }

    fn counted(&mut self, prefix: usize) -> Result<(), Refused> {
        let length = usize::try_from(self.number(prefix)?).map_err(|_| Refused::Cut)?;
        self.take(length)?;
        self.leaf(length)
    }

    fn pay(&mut self, bytes: u64) -> Result<(), Refused> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > self.limit { Err(Refused::Large) } else { Ok(()) }
    }

    fn mark_or_pop(&mut self, code: u8) -> Result<(), Refused> {
        match code {
            b'(' if self.marks.len() == MAX_MARKS => return Err(Refused::Deep),
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() != Some(&self.stack.len()) => drop(self.pop()?),
            _ => {
                let from = self.close_mark()?;
                self.stack.truncate(from);
            }
        }
        Ok(())
    }

    /// Closes the last mark, and answers how long the stack was then.
    fn close_mark(&mut self) -> Result<usize, Refused> {
        self.marks.pop().ok_or(Refused::Ill)
    }

    /// The measure of a value that the top `count` ones lie in; they are taken from the stack.
    fn gather(&mut self, count: usize) -> Result<Measure, Refused> {
        let mut whole = Measure { bytes: VALUE_BYTES, ..Measure::default() };
        for _ in 0..count {
            let part = self.pop()?;
            self.measures[part].settled = true;
            whole.depth = whole.depth.max(self.measures[part].depth + 1);
            whole.bytes = whole.bytes.saturating_add(self.measures[part].bytes);
        }
        Ok(whole)
    }

    fn wrap(&mut self, count: usize) -> Result<(), Refused> {
        let whole = self.gather(count)?;
        self.push(whole)
    }

    /// Puts the top `count` values into the one below them.
    fn put_into(&mut self, count: usize) -> Result<(), Refused> {
        let parts = self.gather(count)?;
        let whole = self.pop()?;
        let measure = &mut self.measures[whole];
        if measure.settled {
            return Err(Refused::Ill);
        }
        measure.depth = measure.depth.max(parts.depth);
        measure.bytes = measure.bytes.saturating_add(parts.bytes);
        self.stack.push(whole);
        if measure.depth > MAX_DEPTH { Err(Refused::Deep) } else { Ok(()) }
    }

    /// Notes the top value under a number, or pushes a noted one.
    fn remember(&mut self, code: u8) -> Result<(), Refused> {
        let number = match code {
            b'q' | b'h' => self.number(1)?,
            b'r' | b'j' => self.number(4)?,
            0x94 => self.memo.len() as u64,
            _ => self.written_number()?,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let noted = self.memo.get(&number).copied().ok_or(Refused::Ill)?;
            self.stack.push(noted);
            return Ok(());
        }
        let top = self.pop()?;
        self.stack.push(top);
        let again = std::mem::replace(&mut self.measures[top].noted, true);
        if again || self.memo.insert(number, top).is_some() { Err(Refused::Ill) } else { Ok(()) }
    }

    /// A number on a line of its own.
    fn written_number(&mut self) -> Result<u64, Refused> {
        let before = self.rest;
        let line = &before[..self.line()?];
        let text = std::str::from_utf8(line).map_err(|_| Refused::Ill)?;
        text.trim_end().parse().map_err(|_| Refused::Ill)
    }

    /// What makes something of the values on the stack: most of them a copy of one, at most as large.
    fn call(&mut self, code: u8) -> Result<(), Refused> {
        let count = match code {
            b'i' => {
                self.line()?;
                self.line()?;
                self.stack.len() - self.close_mark()?
            }
            b'o' => self.stack.len() - self.close_mark()? + 1,
            0x92 => 3,
            _ => 2,
        };
        if code == b'b' {
            let state = self.pop()?;
            self.pop()?;
            self.stack.push(state);
            return Ok(());
        }
        let whole = self.gather(count)?;
        self.pay(whole.bytes)?;
        self.push(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_in_list(depth: usize) -> Vec<u8> {
        [&b"\x80\x02"[..], &vec![b']'; depth], &vec![b'a'; depth - 1], b"."].concat()
    }

    #[test]
    fn what_lies_too_deep_is_refused_however_it_is_written() {
        assert_eq!(check(&list_in_list(100)), Ok(()));
        assert_eq!(check(&list_in_list(1000)), Err(Refused::Deep));
        assert_eq!(check(&[&b"]"[..], &[0x85; 1000], b"."].concat()), Err(Refused::Deep));
        assert_eq!(check(&[b'('; 1000]), Err(Refused::Deep));
        let by_memo: Vec<u8> =
            (0..200).flat_map(|number| [b']', b'h', number, b'a', b'q', number + 1]).collect();
        assert_eq!(check(&[&b"]q\x00"[..], &by_memo, b"."].concat()), Err(Refused::Deep));
    }

    #[test]
    fn what_would_become_too_large_is_refused() {
        // A list with itself twice, forty times over.
        let twice: Vec<u8> = (0..40).flat_map(|number| [0x86, b'q', number, b'h', number]).collect();
        assert_eq!(check(&[&b"]]"[..], &twice, b"."].concat()), Err(Refused::Large));
        // One text, ten times.
        let text = [&b"(X\xe8\x03\x00\x00"[..], &[b'x'; 1000], b"q\x00", &b"h\x00".repeat(9), b"t."].concat();
        assert_eq!(check(&text), Ok(()));
    }

    #[test]
    fn a_list_that_lies_in_another_does_not_change_any_more() {
        // p0 = []; p1 = [p0]; p0.append(p0).
        assert_eq!(check(b"]q\x00]q\x01h\x00ah\x00h\x00a."), Err(Refused::Ill));
        assert_eq!(check(b"]q\x00K\x01q\x00."), Err(Refused::Ill));
        assert_eq!(check(b"]q\x00q\x01."), Err(Refused::Ill));
        assert_eq!(check(b"]2a."), Err(Refused::Unknown(b'2')));
    }

    #[test]
    fn what_is_cut_off_or_takes_from_an_empty_stack_is_refused() {
        for pickle in [&b""[..], b"K", b"]", b"X\xff\xff\xff\xffab", b"Iab", b"c\nabc"] {
            assert_eq!(check(pickle), Err(Refused::Cut), "{}", pickle.escape_ascii());
        }
        for pickle in [&b"."[..], b"a", b"]a", b"](a", b"t", b"e", b"h\x05", b"gx\n", b"R", b"(.", b"0"] {
            assert_eq!(check(pickle), Err(Refused::Ill), "{}", pickle.escape_ascii());
        }
    }
}
