//! Runs the opcodes of a pickle. The outcome refers to the pickle's own bytes, and nothing is called.
//!
//! Time and memory are linear in the length of the pickle. Each opcode reads its own bytes and pushes at most one value,
//! and each value leaves the stack once.
// Source: Python's `pickletools.py`, which documents the opcodes.

use std::fmt::Write as _;

use super::arena::{Arena, Callable, Kind, Text, Value};
use super::call;
use super::error::Error;
use super::input::Input;
use super::opcode as op;
use super::text;

/// The newest protocol that is read.
const MAX_PROTOCOL: u8 = 5;

/// The number of characters shown of a class's name.
const MAX_NAME: usize = 80;

/// Returns the value of `pickle`, and the arena that it refers to.
pub(super) fn run(pickle: &[u8]) -> Result<(Value<'_>, Arena<'_>), Error> {
    let mut machine = Machine {
        input: Input::new(pickle),
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        memoized: 0,
    };
    if u32::try_from(pickle.len()).is_err() {
        return Err(machine.input.error("the pickle has more than 4 GiB"));
    }
    loop {
        match machine.input.opcode()? {
            op::STOP => return machine.stop(),
            opcode => machine.step(opcode)?,
        }
    }
}

struct Machine<'a> {
    input: Input<'a>,
    arena: Arena<'a>,
    stack: Vec<Value<'a>>,
    /// The length of the stack at each open mark.
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    /// The number of values in the memo.
    memoized: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        if let Some(value) = self.scalar(opcode)? {
            self.stack.push(value);
            return Ok(());
        }
        match opcode {
            op::EMPTY_LIST
            | op::EMPTY_DICT
            | op::EMPTY_TUPLE
            | op::EMPTY_SET
            | op::TUPLE1..=op::TUPLE3
            | op::LIST
            | op::DICT
            | op::TUPLE
            | op::FROZENSET => self.build(opcode),
            op::APPEND | op::APPENDS | op::SETITEM | op::SETITEMS | op::ADDITEMS => self.grow(opcode),
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.memoize(opcode),
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(opcode),
            op::MARK | op::POP | op::POP_MARK | op::DUP => self.arrange(opcode),
            op::GLOBAL | op::STACK_GLOBAL => self.global(opcode),
            op::REDUCE => self.reduce(),
            op::PROTO => self.protocol(),
            op::FRAME => self.frame(),
            other => Err(self.refused(other)),
        }
    }

    /// Reads the value of an opcode that pushes one without touching the stack.
    fn scalar(&mut self, opcode: u8) -> Result<Option<Value<'a>>, Error> {
        Ok(Some(match opcode {
            op::NONE => Value::None,
            op::NEWTRUE | op::NEWFALSE => Value::Bool(opcode == op::NEWTRUE),
            op::BININT1 => Value::Int(self.input.number(1)? as i64),
            op::BININT2 => Value::Int(self.input.number(2)? as i64),
            op::BININT => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            op::BINFLOAT => Value::Float(f64::from_be_bytes(self.input.array()?)),
            op::INT | op::LONG | op::FLOAT | op::STRING | op::UNICODE => self.line(opcode)?,
            op::LONG1 => self.binary(1)?,
            op::LONG4 => self.binary(4)?,
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => self.text(1)?,
            op::BINUNICODE | op::BINSTRING => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::SHORT_BINBYTES => Value::Bytes(self.input.counted(1)?),
            op::BINBYTES => Value::Bytes(self.input.counted(4)?),
            op::BINBYTES8 | op::BYTEARRAY8 => Value::Bytes(self.input.counted(8)?),
            _ => return Ok(None),
        }))
    }

    /// Reads a value that is stored as a line of text.
    fn line(&mut self, opcode: u8) -> Result<Value<'a>, Error> {
        let line = self.input.line()?;
        let value = match (opcode, line) {
            (op::INT, b"00" | b"01") => Some(Value::Bool(line == b"01")),
            (op::INT | op::LONG, _) => {
                let digits = line.strip_suffix(b"L").unwrap_or(line);
                text::decimal(digits).map(|integer| self.arena.add_integer(integer))
            }
            (op::FLOAT, _) => text::float(line).map(Value::Float),
            (op::STRING, _) => text::quoted(line).map(|text| Value::Str(self.arena.add_text(text))),
            _ => self.unicode(line),
        };
        value.ok_or_else(|| self.invalid_line(opcode))
    }

    fn unicode(&mut self, line: &'a [u8]) -> Option<Value<'a>> {
        if line.is_ascii() && !line.contains(&b'\\') {
            return std::str::from_utf8(line).ok().map(|text| Value::Str(Text::Borrowed(text)));
        }
        text::raw_unicode_escape(line).map(|text| Value::Str(self.arena.add_text(text)))
    }

    fn invalid_line(&self, opcode: u8) -> Error {
        self.input.error(match opcode {
            op::INT | op::LONG => "invalid integer, or one of more than 128 bits",
            op::FLOAT => "invalid float",
            op::STRING => "invalid string of Python 2, or one that is not UTF-8",
            _ => "invalid escape in a str, or a lone surrogate",
        })
    }

    fn binary(&mut self, width: usize) -> Result<Value<'a>, Error> {
        let integer = text::binary(self.input.counted(width)?);
        let integer = integer.ok_or_else(|| self.input.error("an integer of more than 128 bits"))?;
        Ok(self.arena.add_integer(integer))
    }

    fn text(&mut self, width: usize) -> Result<Value<'a>, Error> {
        let bytes = self.input.counted(width)?;
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| self.input.error("a str is not UTF-8, or has a lone surrogate"))?;
        Ok(Value::Str(Text::Borrowed(text)))
    }

    /// Adds a container, with items from the stack if `opcode` takes some.
    fn build(&mut self, opcode: u8) -> Result<(), Error> {
        let from = match opcode {
            op::TUPLE1..=op::TUPLE3 => self.below(usize::from(opcode - op::TUPLE1) + 1)?,
            op::LIST | op::DICT | op::TUPLE | op::FROZENSET => self.close_mark()?,
            _ => self.stack.len(),
        };
        let kind = match opcode {
            op::EMPTY_LIST | op::LIST => Kind::List,
            op::EMPTY_DICT | op::DICT => self.pairs(from, Kind::Dict)?,
            op::EMPTY_SET => Kind::Set,
            _ => Kind::Fixed,
        };
        let container = self.arena.add(kind, self.stack.drain(from..));
        self.stack.push(container);
        Ok(())
    }

    /// Moves values from the stack to the container below them.
    fn grow(&mut self, opcode: u8) -> Result<(), Error> {
        let from = match opcode {
            op::APPEND => self.below(1)?,
            op::SETITEM => self.below(2)?,
            _ => self.close_mark()?,
        };
        let kind = match opcode {
            op::APPEND | op::APPENDS => Kind::List,
            op::ADDITEMS => Kind::Set,
            _ => self.pairs(from, Kind::Dict)?,
        };
        let open = self.marks.last().copied().unwrap_or(0);
        let below = self.stack[open..from].last().copied();
        let container = self.growing(below, kind)?;
        self.arena.extend(container, self.stack.drain(from..));
        Ok(())
    }

    /// Returns the number of the container `value`, which must be of `kind`.
    fn growing(&self, value: Option<Value<'a>>, kind: Kind) -> Result<u32, Error> {
        match value {
            Some(Value::Container(number)) if self.arena.container(number).kind == kind => Ok(number),
            _ => Err(self.input.error("items are added to a value that cannot hold them")),
        }
    }

    fn pairs(&self, from: usize, kind: Kind) -> Result<Kind, Error> {
        let is_odd = (self.stack.len() - from) % 2 == 1;
        if is_odd { Err(self.input.error("a key of a dict has no value")) } else { Ok(kind) }
    }

    /// Returns where the top `count` values of the stack begin. They must be above the last open mark.
    fn below(&self, count: usize) -> Result<usize, Error> {
        let open = self.marks.last().copied().unwrap_or(0);
        let from = self.stack.len().checked_sub(count).filter(|from| *from >= open);
        from.ok_or_else(|| self.input.error("the opcode needs more values than there are"))
    }

    fn pop(&mut self) -> Result<Value<'a>, Error> {
        let top = self.below(1)?;
        Ok(self.stack.swap_remove(top))
    }

    fn top(&self) -> Result<Value<'a>, Error> {
        Ok(self.stack[self.below(1)?])
    }

    /// Closes the last mark, and returns the length of the stack when it was opened.
    fn close_mark(&mut self) -> Result<usize, Error> {
        self.marks.pop().ok_or_else(|| self.input.error("the opcode needs a mark"))
    }

    fn arrange(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            op::MARK => self.marks.push(self.stack.len()),
            op::DUP => self.stack.push(self.top()?),
            // Python drops a mark if it lies on top.
            op::POP if self.marks.last() != Some(&self.stack.len()) => drop(self.pop()?),
            _ => {
                let from = self.close_mark()?;
                self.stack.truncate(from);
            }
        }
        Ok(())
    }

    /// Stores the top value in the memo.
    fn memoize(&mut self, opcode: u8) -> Result<(), Error> {
        let value = self.top()?;
        let index = if opcode == op::MEMOIZE { self.memoized } else { self.memo_index(opcode)? };
        // Each entry takes an opcode of its own, so that picklers write no greater index.
        if index >= self.input.len() {
            return Err(self.input.error(format!("memo index {index} is out of range")));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memoized += usize::from(self.memo[index].replace(value).is_none());
        Ok(())
    }

    /// Pushes a value of the memo.
    fn recall(&mut self, opcode: u8) -> Result<(), Error> {
        let index = self.memo_index(opcode)?;
        let value = self.memo.get(index).copied().flatten();
        self.stack.push(value.ok_or_else(|| self.input.error(format!("memo entry {index} does not exist")))?);
        Ok(())
    }

    fn memo_index(&mut self, opcode: u8) -> Result<usize, Error> {
        let index = match opcode {
            op::BINPUT | op::BINGET => Some(self.input.number(1)?),
            op::LONG_BINPUT | op::LONG_BINGET => Some(self.input.number(4)?),
            _ => std::str::from_utf8(self.input.line()?).ok().and_then(|line| line.parse().ok()),
        };
        let index = index.and_then(|index| usize::try_from(index).ok());
        index.ok_or_else(|| self.input.error("invalid memo index"))
    }

    /// Pushes a class or function, which must be one that pickles of plain data call.
    fn global(&mut self, opcode: u8) -> Result<(), Error> {
        let (module, name) = if opcode == op::GLOBAL { self.names()? } else { self.popped_names()? };
        let callable = call::find(&module, &name).ok_or_else(|| self.object(&module, &name))?;
        self.stack.push(Value::Callable(callable));
        Ok(())
    }

    /// Reads the names of a module and of a class in it, one on each line.
    fn names(&mut self) -> Result<(String, String), Error> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        let text = |line| String::from_utf8_lossy(line).into_owned();
        Ok((text(module), text(name)))
    }

    fn popped_names(&mut self) -> Result<(String, String), Error> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (module, name) {
            (Value::Str(module), Value::Str(name)) => Ok((self.shown(module), self.shown(name))),
            _ => Err(self.input.error("the name of a class is not a str")),
        }
    }

    /// Returns the beginning of `text`, so that a text that is used many times is not copied as often.
    fn shown(&self, text: Text<'a>) -> String {
        self.arena.text(text).chars().take(MAX_NAME).collect()
    }

    fn object(&self, module: &str, name: &str) -> Error {
        let mut class = String::new();
        for character in module.chars().take(MAX_NAME).chain(['.']).chain(name.chars().take(MAX_NAME)) {
            let _ = write!(class, "{}", character.escape_debug());
        }
        let problem = "a Python object of class";
        self.input
            .error(format!("{problem} {class} cannot be read; store plain data such as dicts and lists"))
    }

    fn reduce(&mut self) -> Result<(), Error> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let value = match (callable, arguments) {
            (Value::Callable(callable), Value::Container(arguments)) => self.call(callable, arguments),
            _ => None,
        };
        self.stack.push(value.ok_or_else(|| self.input.error("a call that no pickle of plain data makes"))?);
        Ok(())
    }

    fn call(&mut self, callable: Callable, arguments: u32) -> Option<Value<'a>> {
        let container = self.arena.container(arguments);
        let items = self.arena.items(container);
        // No call takes more than two arguments.
        let arguments: Vec<_> = if container.length <= 2 { items.collect() } else { return None };
        if container.kind == Kind::Fixed { call::call(&mut self.arena, callable, &arguments) } else { None }
    }

    fn protocol(&mut self) -> Result<(), Error> {
        let [version] = self.input.array()?;
        if version <= MAX_PROTOCOL {
            return Ok(());
        }
        Err(self.input.error(format!("protocol {version} is not supported; write protocol {MAX_PROTOCOL}")))
    }

    fn frame(&mut self) -> Result<(), Error> {
        let length = self.input.number(8)?;
        let fits = usize::try_from(length).is_ok_and(|length| length <= self.input.remaining());
        if fits { Ok(()) } else { Err(self.input.error("the pickle is truncated")) }
    }

    /// Returns why `opcode` is refused, which reads or pushes more than plain data.
    fn refused(&mut self, opcode: u8) -> Error {
        match opcode {
            op::INST => self.names().map_or_else(|error| error, |(module, name)| self.object(&module, &name)),
            op::NEWOBJ | op::NEWOBJ_EX | op::OBJ | op::BUILD => {
                self.input.error("a Python object cannot be read; store plain data such as dicts and lists")
            }
            op::PERSID | op::BINPERSID => self.input.error("persistent IDs are not supported"),
            op::EXT1..=op::EXT4 => self.input.error("extension codes are not supported"),
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                self.input.error("out-of-band buffers are not supported")
            }
            other => {
                self.input.error(format!("unknown opcode {other:#04x}; these bytes may not be a pickle"))
            }
        }
    }

    /// Returns the outcome, which is the only value on the stack.
    fn stop(mut self) -> Result<(Value<'a>, Arena<'a>), Error> {
        let value = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(self.input.error("more than one value is left at the end"));
        }
        if self.input.remaining() > 0 {
            return Err(self.input.error(format!("{} bytes follow the pickle", self.input.remaining())));
        }
        Ok((value, self.arena))
    }
}
