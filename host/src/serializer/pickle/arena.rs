//! [`Arena`]: the values of a pickle.
//!
//! A value refers to a list by its number, so that all references see what is appended to the list later.

/// A value of a pickle. Texts and bytes borrow from the pickle wherever they are stored as they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that an `i64` cannot hold, by its number.
    Wide(u32),
    Float(f64),
    Str(Text<'a>),
    Bytes(&'a [u8]),
    /// Bytes that are stored as the text with these code points. Protocols 0 to 2 have no other form of bytes.
    Latin1(Text<'a>),
    /// A list, tuple, set, or dict, by its number.
    Container(u32),
    /// A class or function that takes part in storing plain data.
    Callable(Callable),
}

/// A text, or the number of a text that was decoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Decoded(u32),
}

/// The classes and functions that pickles of plain data call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    Set,
    FrozenSet,
    Bytes,
    ByteArray,
    Encode,
    OrderedDict,
}

/// What a container is. Only lists, sets, and dicts can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Set,
    /// A tuple or a frozen set.
    Fixed,
    /// A dict. Its keys and values alternate.
    Dict,
}

/// An integer that an `i64` cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Signed(i128),
    Unsigned(u128),
}

/// A container, whose items are in a chain of chunks. It is empty if `length` is 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container {
    pub(super) kind: Kind,
    pub(super) length: u32,
    first: u32,
    last: u32,
}

/// Adjacent items of one container.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: u32,
    length: u32,
    next: u32,
}

/// The values that a pickle's values refer to by number.
///
/// No table has more entries than the pickle has bytes. A `u32` holds them all, because longer pickles are refused.
#[derive(Debug, Default)]
pub(super) struct Arena<'a> {
    items: Vec<Value<'a>>,
    chunks: Vec<Chunk>,
    containers: Vec<Container>,
    texts: Vec<String>,
    wide: Vec<Wide>,
}

impl<'a> Arena<'a> {
    pub(super) fn add_text(&mut self, text: String) -> Text<'a> {
        self.texts.push(text);
        Text::Decoded(last_of(&self.texts))
    }

    pub(super) fn add_integer(&mut self, integer: Wide) -> Value<'a> {
        if let Wide::Signed(integer) = integer
            && let Ok(integer) = i64::try_from(integer)
        {
            return Value::Int(integer);
        }
        self.wide.push(integer);
        Value::Wide(last_of(&self.wide))
    }

    /// Adds a container with `items`.
    pub(super) fn add(&mut self, kind: Kind, items: impl Iterator<Item = Value<'a>>) -> Value<'a> {
        self.containers.push(Container { kind, length: 0, first: 0, last: 0 });
        let number = last_of(&self.containers);
        self.extend(number, items);
        Value::Container(number)
    }

    /// Appends `items` to a container.
    pub(super) fn extend(&mut self, number: u32, items: impl Iterator<Item = Value<'a>>) {
        let start = self.items.len();
        self.items.extend(items);
        let added = (self.items.len() - start) as u32;
        if added > 0 {
            self.link(number, Chunk { start: start as u32, length: added, next: 0 });
        }
    }

    /// Appends `chunk` to a container, or extends the container's last chunk if `chunk` follows it directly.
    fn link(&mut self, number: u32, chunk: Chunk) {
        let new = self.chunks.len() as u32;
        let container = &mut self.containers[number as usize];
        if container.length == 0 {
            container.first = new;
        } else {
            let last = &mut self.chunks[container.last as usize];
            if last.start + last.length == chunk.start {
                last.length += chunk.length;
                container.length += chunk.length;
                return;
            }
            last.next = new;
        }
        container.last = new;
        container.length += chunk.length;
        self.chunks.push(chunk);
    }

    pub(super) fn container(&self, number: u32) -> Container {
        self.containers[number as usize]
    }

    pub(super) fn items(&self, container: Container) -> Items<'_, 'a> {
        let next = container.first;
        Items { arena: self, chunk: [].iter(), next, left: container.length as usize }
    }

    pub(super) fn wide(&self, number: u32) -> Wide {
        self.wide[number as usize]
    }

    /// Returns a decoded text.
    pub(super) fn decoded(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    pub(super) fn text<'s>(&'s self, text: Text<'s>) -> &'s str {
        match text {
            Text::Borrowed(text) => text,
            Text::Decoded(number) => self.decoded(number),
        }
    }
}

/// Returns the number of the last entry.
fn last_of<T>(table: &[T]) -> u32 {
    (table.len() - 1) as u32
}

/// An iterator over the items of a container.
pub(super) struct Items<'s, 'a> {
    arena: &'s Arena<'a>,
    chunk: std::slice::Iter<'s, Value<'a>>,
    next: u32,
    left: usize,
}

impl<'a> Iterator for Items<'_, 'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        if let Some(value) = self.chunk.next() {
            return Some(*value);
        }
        let chunk = self.arena.chunks[self.next as usize];
        self.next = chunk.next;
        self.chunk = self.arena.items[chunk.start as usize..][..chunk.length as usize].iter();
        self.chunk.next().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_, '_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: impl IntoIterator<Item = i64>) -> impl Iterator<Item = Value<'static>> {
        values.into_iter().map(Value::Int)
    }

    fn read(arena: &Arena<'_>, value: Value<'_>) -> Vec<i64> {
        let Value::Container(number) = value else { panic!("{value:?}") };
        let items = arena.items(arena.container(number));
        assert_eq!(items.len(), arena.container(number).length as usize);
        items.map(|item| if let Value::Int(number) = item { number } else { panic!("{item:?}") }).collect()
    }

    #[test]
    fn interleaved_containers_keep_their_items_in_order() {
        let mut arena = Arena::default();
        let lists = [arena.add(Kind::List, ints([])), arena.add(Kind::List, ints(0..3))];
        for round in [10, 20, 30, 31] {
            arena.extend(0, ints([round]));
            if round < 30 {
                arena.extend(1, ints([]));
                arena.extend(1, ints([round + 1, round + 2]));
            }
        }
        assert_eq!(read(&arena, lists[0]), [10, 20, 30, 31]);
        assert_eq!(read(&arena, lists[1]), [0, 1, 2, 11, 12, 21, 22]);
        assert_eq!(arena.chunks.len(), 6, "adjacent items share a chunk");
    }

    #[test]
    fn value_has_the_size_of_a_slice_and_a_tag() {
        assert!(size_of::<Value<'_>>() <= 24, "{}", size_of::<Value<'_>>());
    }
}
