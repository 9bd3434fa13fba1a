//! [`Input`]: the bytes of a pickle, and how far they have been read.

use std::borrow::Cow;

use super::error::Error;

/// The bytes of a pickle, and how far they have been read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The offset of the current opcode, for errors.
    opcode: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0, opcode: 0 }
    }

    pub(super) fn error(&self, why: impl Into<Cow<'static, str>>) -> Error {
        Error::Pickle { at: self.opcode, why: why.into() }
    }

    /// Returns the number of bytes in the whole pickle.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of bytes that were not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn opcode(&mut self) -> Result<u8, Error> {
        self.opcode = self.at;
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.truncated())?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.bytes[self.at..].first_chunk().ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(*taken)
    }

    /// Reads a number of `width` bytes, at most eight, the lowest first.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, Error> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Reads a length of `width` bytes, and then that many bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8], Error> {
        let length = self.number(width)?;
        self.take(usize::try_from(length).map_err(|_| self.truncated())?)
    }

    /// Reads the rest of a line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| self.truncated())?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    fn truncated(&self) -> Error {
        self.error("the pickle is truncated")
    }
}
