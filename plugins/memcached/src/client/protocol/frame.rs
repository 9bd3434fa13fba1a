//! [`Frames`]: splits the bytes of a server into frames, as they arrive.
//!
//! A frame is a head, and for a value its data. What it means depends on the request; here, only sizes matter.

use super::invalid::{Invalid, LONGEST_LINE};

/// How the frames of a protocol are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) head: Head,
    /// Returns the data that follows a head, if any follows. Its second argument is the most bytes of a value.
    pub(super) data: fn(&[u8], usize) -> Result<Option<Data>, Invalid>,
}

/// The beginning of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head {
    /// A line that ends with CR and LF, which are not part of the head.
    Line,
    /// This many bytes, which contain the number of all bytes.
    Sized(usize, fn(&[u8]) -> Result<usize, Invalid>),
}

/// The data of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) length: usize,
    /// The bytes that must follow.
    pub(super) end: &'static [u8],
}

/// A complete frame.
pub(super) struct Frame<'f> {
    pub(super) head: &'f [u8],
    pub(super) data: Option<Vec<u8>>,
}

/// Splits bytes into frames. It looks at each byte once, so that this takes linear time even if bytes arrive one by one.
///
/// After an error it must not be used again.
pub(super) struct Frames {
    layout: Layout,
    head: Vec<u8>,
    state: State,
}

enum State {
    /// The head is unfinished.
    Head,
    Data(Unfinished),
    /// The last frame is complete, and the next one begins.
    Whole,
}

struct Unfinished {
    wanted: Data,
    data: Vec<u8>,
    /// The number of bytes of the end that have been seen.
    ended: usize,
}

impl Frames {
    pub(super) fn new(layout: Layout) -> Self {
        Frames { layout, head: Vec::new(), state: State::Head }
    }

    /// Reads the next frame, and removes the bytes that were used from `input`. `limit` is the most bytes of a value.
    ///
    /// Returns `None` if all of `input` was used and the frame is not finished.
    pub(super) fn next(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Frame<'_>>, Invalid> {
        if matches!(self.state, State::Whole) {
            self.head.clear();
            self.state = State::Head;
        }
        if matches!(self.state, State::Head) {
            if !self.read_head(input)? {
                return Ok(None);
            }
            let data = (self.layout.data)(&self.head, limit)?;
            self.state = data.map_or(State::Whole, |wanted| State::Data(Unfinished::new(wanted, input)));
        }
        let data = match &mut self.state {
            State::Data(unfinished) => {
                if !unfinished.take(input)? {
                    return Ok(None);
                }
                Some(std::mem::take(&mut unfinished.data))
            }
            _ => None,
        };
        self.state = State::Whole;
        Ok(Some(Frame { head: &self.head, data }))
    }

    /// Returns how many bytes are known to be missing, which is at least 1.
    pub(super) fn missing(&self) -> usize {
        match &self.state {
            State::Data(unfinished) => unfinished.missing(),
            _ => 1,
        }
    }

    /// Moves the rest of the head from `input`, and returns whether it is complete.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<bool, Invalid> {
        match self.layout.head {
            Head::Line => self.read_line(input),
            Head::Sized(first, whole) => {
                Ok(self.read_up_to(first, input) && self.read_up_to(whole(&self.head[..first])?, input))
            }
        }
    }

    fn read_line(&mut self, input: &mut &[u8]) -> Result<bool, Invalid> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        *input = rest;
        if self.head.len() + part.len() > LONGEST_LINE {
            return Err(Invalid::LongLine);
        }
        self.head.extend_from_slice(part);
        if end.is_none() {
            return Ok(false);
        }
        let line = self.head.strip_suffix(b"\r\n").ok_or(Invalid::End)?.len();
        self.head.truncate(line);
        Ok(true)
    }

    /// Moves bytes from `input` until the head has `length` of them, and returns whether it does.
    fn read_up_to(&mut self, length: usize, input: &mut &[u8]) -> bool {
        let missing = length.saturating_sub(self.head.len());
        let (part, rest) = input.split_at(missing.min(input.len()));
        self.head.extend_from_slice(part);
        *input = rest;
        self.head.len() >= length
    }
}

impl Unfinished {
    fn new(wanted: Data, input: &[u8]) -> Self {
        // Do not trust a length that a server sends: reserve memory only as bytes arrive.
        let data = Vec::with_capacity(wanted.length.min(input.len()));
        Unfinished { wanted, data, ended: 0 }
    }

    fn missing(&self) -> usize {
        (self.wanted.length - self.data.len()) + (self.wanted.end.len() - self.ended)
    }

    /// Moves bytes from `input`, and returns whether the data is complete.
    fn take(&mut self, input: &mut &[u8]) -> Result<bool, Invalid> {
        let missing = self.wanted.length - self.data.len();
        let (part, rest) = input.split_at(missing.min(input.len()));
        let needed = self.data.len() + part.len();
        if needed > self.data.capacity() {
            // Double the memory, but never beyond the length. At least half of the reserved bytes have arrived.
            let capacity = needed.max(self.data.capacity().saturating_mul(2)).min(self.wanted.length);
            self.data.reserve_exact(capacity - self.data.len());
        }
        self.data.extend_from_slice(part);
        let end = if part.len() == missing { &self.wanted.end[self.ended..] } else { &[] };
        let (arrived, rest) = rest.split_at(end.len().min(rest.len()));
        if arrived != &end[..arrived.len()] {
            return Err(Invalid::End);
        }
        self.ended += arrived.len();
        *input = rest;
        Ok(self.missing() == 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    /// Lines, of which those that begin with `+` are followed by five bytes and a full stop.
    const LAYOUT: Layout = Layout {
        head: Head::Line,
        data: |head, limit| match head.first() {
            Some(b'+') if limit < 5 => Err(Invalid::LongValue { given: 5, limit }),
            Some(b'+') => Ok(Some(Data { length: 5, end: b".\r\n" })),
            _ => Ok(None),
        },
    };

    /// Reads all frames of `parts`, which arrive one after another.
    fn read<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Result<Vec<(String, Option<String>)>, Invalid> {
        let (mut frames, mut read) = (Frames::new(LAYOUT), Vec::new());
        for mut part in parts {
            while let Some(Frame { head, data }) = frames.next(&mut part, 5)? {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                read.push((text(head), data.as_deref().map(text)));
            }
            assert!(part.is_empty() && frames.missing() > 0);
        }
        Ok(read)
    }

    #[test]
    fn frames_are_the_same_however_bytes_arrive() {
        let sent = b"one\r\n+\r\na\r\nb5.\r\n\r\n+two\r\n12345.\r\n";
        let frames = read([&sent[..]]).unwrap();
        let expected = [("one", None), ("+", Some("a\r\nb5")), ("", None), ("+two", Some("12345"))]
            .map(|(head, data)| (head.to_owned(), data.map(str::to_owned)));
        assert_eq!(frames, expected);
        assert_eq!(read(sent.chunks(1)).unwrap(), frames);
        assert_eq!(read(sent.chunks(7)).unwrap(), frames);
    }

    #[test]
    fn invalid_frames_are_refused() {
        assert_eq!(read([&b"one\n"[..]]), Err(Invalid::End));
        assert_eq!(read([&b"+\r\n12345,"[..]]), Err(Invalid::End));
        assert_eq!(read([&b"+\r\n12345.\n"[..]]), Err(Invalid::End));
        assert_eq!(read([&[b'x'; LONGEST_LINE + 1][..]]), Err(Invalid::LongLine));
        assert_eq!(read([b'x'; LONGEST_LINE + 1].chunks(100)), Err(Invalid::LongLine));
        let refused = Frames::new(LAYOUT).next(&mut &b"+\r\n"[..], 4).map(drop);
        assert_eq!(refused, Err(Invalid::LongValue { given: 5, limit: 4 }));
    }

    #[test]
    fn memory_is_reserved_as_bytes_arrive() {
        const LARGE: Layout =
            Layout { head: Head::Line, data: |_, limit| Ok(Some(Data { length: limit, end: b"" })) };
        let mut frames = Frames::new(LARGE);
        assert!(frames.next(&mut &b"\r\nabc"[..], usize::MAX).unwrap().is_none());
        let State::Data(unfinished) = &frames.state else { panic!("the data is unfinished") };
        assert!(unfinished.data.capacity() < 100);
    }
}
